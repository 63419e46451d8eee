import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { packLayout } from '../../src/object/places.ts';

const RUNS = process.env.SLOW === '1' ? 5000 : 300;

interface Case {
  readonly dataShards: number;
  readonly totalShards: number;
  readonly packs: number;
  readonly shardLengths: readonly number[];
  readonly places: Uint8Array;
}

const segment: fc.Arbitrary<Case> = fc
  .record({
    dataShards: fc.integer({ min: 1, max: 8 }),
    parity: fc.nat({ max: 6 }),
    packs: fc.integer({ min: 1, max: 9 }),
    shardLengths: fc.array(
      fc.integer({ min: 1, max: 9 }).map((n) => 512 * n),
      { minLength: 1, maxLength: 6 },
    ),
  })
  .chain(({ dataShards, parity, packs, shardLengths }) => {
    const totalShards = dataShards + parity;
    const shards = totalShards * shardLengths.length;
    return fc
      .array(fc.nat({ max: packs - 1 }), { minLength: shards, maxLength: shards })
      .map((places) => ({ dataShards, totalShards, packs, shardLengths, places: Uint8Array.from(places) }));
  });

const layoutOf = ({ places, packs, shardLengths, dataShards, totalShards }: Case) =>
  packLayout(places, packs, shardLengths, dataShards, totalShards);

describe('pack layout', () => {
  test('two chunks over two packs stand where the format says', () => {
    // Shards 0, 1 are data, 2 is parity; chunk 0 has shards of 512 bytes, chunk 1 of 1024.
    const places = Uint8Array.of(0, 1, 0, 0, 0, 1);
    const layout = packLayout(places, 2, [512, 1024], 2, 3);
    expect(layout.contents).toEqual([
      [0, 3, 4, 2],
      [1, 5],
    ]);
    expect([...layout.offsets]).toEqual([0, 0, 2560, 512, 1536, 512]);
    expect(layout.lengths).toEqual([3072, 1536]);
  });

  test('shards stand back to back, each once, data first, then by chunk and shard', () => {
    fc.assert(
      fc.property(segment, (one) => {
        const { offsets, lengths, contents } = layoutOf(one);
        expect(contents.flat().sort((a, b) => a - b)).toEqual([...one.places.keys()]);
        contents.forEach((held, pack) => {
          let end = 0;
          for (const at of held) {
            expect(one.places[at]).toBe(pack);
            expect(offsets[at]).toBe(end);
            end += one.shardLengths[Math.floor(at / one.totalShards)]!;
          }
          expect(lengths[pack]).toBe(end);
          const rank = (at: number): number =>
            (at % one.totalShards < one.dataShards ? 0 : one.places.length) + at;
          expect(held).toEqual([...held].sort((a, b) => rank(a) - rank(b)));
        });
      }),
      { numRuns: RUNS },
    );
  });

  test('data shards of consecutive chunks in one pack are one range', () => {
    fc.assert(
      fc.property(segment, (one) => {
        const { offsets, contents } = layoutOf(one);
        for (const held of contents) {
          const data = held.filter((at) => at % one.totalShards < one.dataShards);
          const bytes = data.reduce(
            (sum, at) => sum + one.shardLengths[Math.floor(at / one.totalShards)]!,
            0,
          );
          if (data.length > 0) expect(offsets[data[0]!]).toBe(0);
          const last = data[data.length - 1];
          if (last !== undefined) {
            expect(offsets[last]! + one.shardLengths[Math.floor(last / one.totalShards)]!).toBe(bytes);
          }
        }
      }),
      { numRuns: RUNS },
    );
  });

  test('a pack that holds nothing has length 0', () => {
    expect(packLayout(Uint8Array.of(1), 3, [512], 1, 1)).toMatchObject({
      lengths: [0, 512, 0],
      contents: [[], [0], []],
    });
  });
});
