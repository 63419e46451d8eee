import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PackRecord } from '../../src/manifest/segment.ts';
import { locate, type Place, packsOf, viewSegment } from '../../src/object/places.ts';
import { type Relocation, relocate, unitedPacks } from '../../src/object/relocations.ts';
import { bytesOf, fakeAddress, inPackOrder, type SegmentCase, segmentCases } from './segments.ts';

const RUNS = process.env.SLOW === '1' ? 5000 : 300;

/** Moves of some shards, each by one of a few relocations to one of two packs. */
interface MovedCase extends SegmentCase {
  readonly relocations: readonly Relocation[];
}

const movedCases: fc.Arbitrary<MovedCase> = segmentCases.chain((one) =>
  fc
    .array(
      fc.record({
        recorded: fc.boolean(),
        fits: fc.nat({ max: 4 }).map((n) => n > 0),
        owners: fc.array(fc.nat({ max: 3 }), {
          minLength: one.record.places.length,
          maxLength: one.record.places.length,
        }),
      }),
      { maxLength: 4 },
    )
    .map((moves) => ({
      ...one,
      relocations: moves.flatMap(({ recorded, fits, owners }, i) => {
        const packs = [0, 1].flatMap((owner) => {
          const shards = [...owners.keys()].filter((at) => owners[at] === owner);
          const length = bytesOf(one.code, one.shardLengths, shards) + (fits ? 0 : 512);
          const address = fakeAddress(100 + 2 * (i % 3) + owner);
          return shards.length === 0 ? [] : [{ provider: `q${owner}`, address, length, shards }];
        });
        return packs.length === 0 ? [] : [{ segment: fakeAddress(0), movedMs: 9 - i, packs, recorded }];
      }),
    })),
);

const isFit = (one: SegmentCase, { packs }: Relocation): boolean =>
  packs.every(({ shards, length }) => bytesOf(one.code, one.shardLengths, shards) === length);

/** The places of a shard, one after the other as the format lists them. */
function reference(one: MovedCase, at: number): Place[] {
  const movedTo = (recorded: boolean): Place[] =>
    one.relocations
      .filter((each) => each.recorded === recorded && isFit(one, each))
      .flatMap(({ packs }) => packs.filter(({ shards }) => shards.includes(at)))
      .map((pack) => {
        const inOrder = inPackOrder(one.code, pack.shards);
        const before = inOrder.slice(0, inOrder.indexOf(at));
        return { pack, offset: bytesOf(one.code, one.shardLengths, before) };
      });
  const pack = one.record.places[at]!;
  const held = one.contents[pack]!;
  const offset = bytesOf(one.code, one.shardLengths, held.slice(0, held.indexOf(at)));
  const all = [...movedTo(true), { pack: one.record.packs[pack]!, offset }, ...movedTo(false)];
  const isFirst = (place: Place, i: number): boolean =>
    all.findIndex((one) => blobOf(one.pack) === blobOf(place.pack)) === i;
  return all.filter(isFirst);
}

const blobOf = ({ provider, address }: PackRecord): string => `${provider} ${address}`;

describe('relocations laid over a segment', () => {
  test('give every shard its places in order: moved by the vault, put, hinted', () => {
    fc.assert(
      fc.property(movedCases, (one) => {
        const view = relocate(viewSegment(one.record, one.code), one.relocations);
        for (const at of one.record.places.keys()) {
          const { totalShards } = one.code;
          const expected = reference(one, at);
          const places = [...expected, undefined].map((_, nth) =>
            locate(view, Math.floor(at / totalShards), at % totalShards, nth),
          );
          expect(places).toEqual([...expected, undefined]);
          for (const [nth, place] of expected.entries()) expect(places[nth]!.pack).toBe(place.pack);
        }
      }),
      { numRuns: RUNS },
    );
  });

  test('leave as packs that are kept those that some shard ought to be in, each once', () => {
    fc.assert(
      fc.property(movedCases, (one) => {
        const view = relocate(viewSegment(one.record, one.code), one.relocations);
        const kept = packsOf(view).map(blobOf);
        const isMoved = one.relocations.some((each) => isFit(one, each));
        const own = one.relocations.filter(({ recorded }) => recorded);
        const first = [...one.record.places.keys()].map((at) =>
          blobOf(reference({ ...one, relocations: own }, at)[0]!.pack),
        );
        if (isMoved) expect([...kept].sort()).toEqual([...new Set(first)].sort());
        else expect(kept).toEqual(one.record.packs.map(blobOf));
      }),
      { numRuns: RUNS },
    );
  });

  test('say the same of where shards ought to be when they are united, in no more records', () => {
    fc.assert(
      fc.property(movedCases, (one) => {
        const fitting = one.relocations.filter((each) => each.recorded && isFit(one, each));
        const united = unitedPacks(fitting).map((packs) => ({
          segment: fakeAddress(0),
          movedMs: 0,
          packs,
          recorded: true,
        }));
        expect(united.length).toBeLessThanOrEqual(fitting.length);
        for (const { packs } of united) {
          const shards = packs.flatMap((pack) => pack.shards);
          expect(new Set(shards).size).toBe(shards.length);
        }
        const view = viewSegment(one.record, one.code);
        const [before, after] = [relocate(view, fitting), relocate(view, united)];
        for (const at of one.record.places.keys()) {
          const shard = [Math.floor(at / one.code.totalShards), at % one.code.totalShards] as const;
          expect(locate(after, ...shard)).toEqual(locate(before, ...shard));
        }
      }),
      { numRuns: RUNS },
    );
  });
});
