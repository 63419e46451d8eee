import fc from 'fast-check';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import type { LinearCode } from '../../src/coding/erasure/linear-code.ts';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import type { SegmentRecord } from '../../src/manifest/segment.ts';

/** Segments of which only what says where shards are is true. */
export interface SegmentCase {
  readonly code: LinearCode;
  /** By chunk. */
  readonly shardLengths: readonly number[];
  /** Of each pack, the shards it holds, in the order of the format. */
  readonly contents: readonly (readonly number[])[];
  readonly record: SegmentRecord;
}

export const fakeAddress = (n: number): BlobAddress => addressOf(new Uint8Array(32).fill(n));

export const segmentCases: fc.Arbitrary<SegmentCase> = fc
  .record({
    dataShards: fc.integer({ min: 1, max: 6 }),
    parityShards: fc.integer({ min: 1, max: 4 }),
    packs: fc.integer({ min: 1, max: 9 }),
    shardLengths: fc.array(
      fc.integer({ min: 1, max: 9 }).map((n) => 512 * n),
      { minLength: 1, maxLength: 6 },
    ),
  })
  .chain(({ dataShards, parityShards, packs, shardLengths }) => {
    const code = createLinearCode({ algorithm: 'reed-solomon', dataShards, parityShards });
    const count = code.totalShards * shardLengths.length;
    return fc
      .array(fc.nat({ max: packs - 1 }), { minLength: count, maxLength: count })
      .map((places) => segmentCase(code, shardLengths, packs, Uint8Array.from(places)));
  });

export function segmentCase(
  code: LinearCode,
  shardLengths: readonly number[],
  packs: number,
  places: Uint8Array,
): SegmentCase {
  const contents = Array.from({ length: packs }, (_, pack) =>
    inPackOrder(
      code,
      [...places.keys()].filter((at) => places[at] === pack),
    ),
  );
  const record: SegmentRecord = {
    firstChunk: 0,
    chunkLens: shardLengths.map((length) => length * code.dataShards),
    tags: new Uint8Array(),
    shards: new Uint8Array(),
    packs: contents.map((held, i) => ({
      provider: `p${i}`,
      address: fakeAddress(i),
      length: bytesOf(code, shardLengths, held),
    })),
    places,
    sealed: new Uint8Array(),
  };
  return { code, shardLengths, contents, record };
}

/** The rule of the format, read out: data shards first, each part by chunk and then by shard. */
export function inPackOrder(code: LinearCode, held: readonly number[]): number[] {
  const rank = (at: number): number => (at % code.totalShards < code.dataShards ? 0 : 1e6) + at;
  return [...held].sort((a, b) => rank(a) - rank(b));
}

export const bytesOf = (code: LinearCode, shardLengths: readonly number[], held: readonly number[]): number =>
  held.reduce((sum, at) => sum + shardLengths[Math.floor(at / code.totalShards)]!, 0);
