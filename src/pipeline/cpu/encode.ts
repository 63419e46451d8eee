import { chunkAad } from '../../coding/chunk-cipher.ts';
import { CODEC_IDS, type Codec } from '../../coding/compress/codec.ts';
import type { EncodeJob, EncodeResult } from './jobs.ts';
import type { Primitives } from './primitives.ts';

/** Compressing this much tells whether the rest is worth it. */
const SAMPLE_BYTES = 16 * 1024;
const WORTH = 0.97;

export async function encodeChunk(job: EncodeJob, use: Primitives): Promise<EncodeResult> {
  const coder = use.coder(job.code);
  const { dataShards, totalShards } = coder.code;
  const plain = use.memory.subarray(job.base, job.base + job.plainLength);
  const { codec, storedLength } = compressInPlace(plain, await use.codec(job.codec, job.level));
  const shardLength = coder.code.shardLength(storedLength);
  const frame = use.memory.subarray(job.base, job.base + dataShards * shardLength);
  // The padding is encrypted too: its length, and so the exact size, shows nowhere.
  frame.fill(0, storedLength);
  const tag = use.aead.seal(job.key, chunkAad({ ...job, codec }), frame);
  const offsets = Array.from({ length: totalShards }, (_, shard) => job.base + shard * shardLength);
  await coder.encode(offsets, shardLength);
  const digests = new Uint8Array(32 * totalShards);
  offsets.forEach((offset, shard) => {
    digests.set(use.blake3.hash(use.memory.subarray(offset, offset + shardLength)), 32 * shard);
  });
  return { codec, storedLength, shardLength, tag, digests };
}

/** Replaces the plaintext by its compressed form where that is shorter. */
function compressInPlace(plain: Uint8Array, codec: Codec): { codec: number; storedLength: number } {
  const unchanged = { codec: CODEC_IDS.none, storedLength: plain.length };
  if (codec.id === CODEC_IDS.none || !looksCompressible(plain, codec)) return unchanged;
  const compressed = codec.compress(plain);
  if (compressed.length >= plain.length) return unchanged;
  plain.set(compressed);
  return { codec: codec.id, storedLength: compressed.length };
}

function looksCompressible(plain: Uint8Array, codec: Codec): boolean {
  if (plain.length <= 4 * SAMPLE_BYTES) return true;
  const tries = [0, plain.length >> 1].map((at) => plain.subarray(at, at + SAMPLE_BYTES));
  return tries.some((sample) => codec.compress(sample).length < WORTH * sample.length);
}
