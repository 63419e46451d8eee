import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { locate, viewSegment } from '../../src/object/places.ts';
import { bytesOf, type SegmentCase, segmentCase, segmentCases } from './segments.ts';

const RUNS = process.env.SLOW === '1' ? 5000 : 300;

const placeAt = ({ record, code }: SegmentCase, at: number) =>
  locate(viewSegment(record, code), Math.floor(at / code.totalShards), at % code.totalShards);

describe('the place of a shard', () => {
  test('in two chunks over two packs is where the format says', () => {
    // Shards 0, 1 are data, 2 is parity; chunk 0 has shards of 512 bytes, chunk 1 of 1024.
    const code = createLinearCode({ algorithm: 'reed-solomon', dataShards: 2, parityShards: 1 });
    const one = segmentCase(code, [512, 1024], 2, Uint8Array.of(0, 1, 0, 0, 0, 1));
    expect([0, 1, 2, 3, 4, 5].map((at) => placeAt(one, at).offset)).toEqual([0, 0, 2560, 512, 1536, 512]);
    expect(one.record.packs.map(({ length }) => length)).toEqual([3072, 1536]);
  });

  test('is in the pack that holds it, back to back with the others, data first', () => {
    fc.assert(
      fc.property(segmentCases, (one) => {
        const view = viewSegment(one.record, one.code);
        for (const [pack, held] of one.contents.entries()) {
          for (const [i, at] of held.entries()) {
            const { totalShards } = one.code;
            const [chunk, shard] = [Math.floor(at / totalShards), at % totalShards];
            expect(locate(view, chunk, shard)).toEqual({
              pack: one.record.packs[pack],
              offset: bytesOf(one.code, one.shardLengths, held.slice(0, i)),
            });
            expect(locate(view, chunk, shard, 1)).toBeUndefined();
          }
        }
      }),
      { numRuns: RUNS },
    );
  });

  test('is not believed where the lengths of packs contradict it', () => {
    fc.assert(
      fc.property(segmentCases, fc.nat(), (one, which) => {
        const wrong = which % one.record.packs.length;
        const packs = one.record.packs.map((pack, i) =>
          i === wrong ? { ...pack, length: pack.length + 512 } : pack,
        );
        expect(() => viewSegment({ ...one.record, packs }, one.code)).toThrow(/pack lengths contradict/);
      }),
      { numRuns: 50 },
    );
  });
});

test('nobody but the rooms of places, and who writes segments, looks a shard up in a record', () => {
  const src = new URL('../../src/', import.meta.url);
  const direct = /record\.(places|packs)\b|\blayout\.offsets\b/;
  const readers = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && direct.test(readFileSync(new URL(name, src), 'utf8')),
  );
  expect(readers.sort()).toEqual(['object/places.ts', 'object/relocations.ts']);
});
