import type { LinearCode } from '../../coding/erasure/linear-code.ts';
import { shardStride } from '../../coding/erasure/shape.ts';

/** Bytes of a slab that holds a chunk's plaintext and then all its shards. */
export const slabBytes = (code: LinearCode, plainLength: number): number =>
  code.totalShards * shardStride(code.shardLength(plainLength));

/**
 * Where the plaintext is read to: the end of the slab. The cipher moves it forward into the shards' places, always
 * behind what it has read.
 */
export const frameOffset = (code: LinearCode, plainLength: number): number =>
  slabBytes(code, plainLength) - code.dataShards * code.shardLength(plainLength);

/** Offset of each of `count` shards from the first: apart, so that they do not compete for the same cache lines. */
export const shardOffsets = (base: number, count: number, shardLength: number): number[] =>
  Array.from({ length: count }, (_, shard) => base + shard * shardStride(shardLength));
