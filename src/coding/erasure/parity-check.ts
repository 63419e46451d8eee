import { bitRows } from './gf256.ts';
import type { ShardOffsets } from './kernel.ts';
import type { LinearCode } from './linear-code.ts';
import { packetLengthOf } from './shape.ts';

/**
 * Whether the parity shards belong to the data shards. Nothing is encoded again: each packet row of every shard is
 * reduced to 32 bits by one linear map, and what holds for the rows must hold for those. One changed bit is always
 * found; other damage slips through once in 2^32. Every shard is read once.
 * @param memory what the offsets point into.
 * @param offsets of all shards, by shard number: multiples of 4.
 * @param seed 32 random bits, which choose the map.
 */
export function parityHolds(
  code: LinearCode,
  memory: ArrayBufferLike,
  offsets: ShardOffsets,
  shardLength: number,
  seed: number,
): boolean {
  const words = new Int32Array(memory);
  const packet = packetLengthOf(shardLength, code.dataShards) >> 2;
  const images = Array.from({ length: code.totalShards }, (_, shard) =>
    imagesOf(words.subarray(offsets[shard]! >> 2, (offsets[shard]! + shardLength) >> 2), packet, seed | 1),
  );
  for (let shard = code.dataShards; shard < code.totalShards; shard++) {
    const expected = new Int32Array(8);
    for (const [i, element] of code.generator[shard]!.entries()) {
      for (const [b, row] of bitRows(element).entries()) {
        for (let a = 0; a < 8; a++) if ((row >> a) & 1) expected[b]! ^= images[i]![a]!;
      }
    }
    if (!expected.every((image, b) => image === images[shard]![b])) return false;
  }
  return true;
}

/**
 * The eight packet rows of a shard, each as a polynomial over GF(2) modulo x^32 + the seed's, whose last coefficient
 * is one: so the map is linear, and no single bit has the image zero.
 */
function imagesOf(shard: Int32Array, packet: number, modulus: number): Int32Array {
  const images = new Int32Array(8);
  for (let block = 0; block < shard.length; block += 8 * packet) {
    for (let row = 0; row < 8; row++) {
      const from = block + row * packet;
      let image = images[row]!;
      for (let at = from; at < from + packet; at++) {
        image = (image << 1) ^ ((image >> 31) & modulus) ^ shard[at]!;
      }
      images[row] = image;
    }
  }
  return images;
}
