import { chunkAad } from '../../coding/chunk-cipher.ts';
import { CODEC_IDS, type Codec } from '../../coding/compress/codec.ts';
import type { EncodeJob, EncodeResult } from './jobs.ts';
import { Laps, shardOffsets } from './jobs.ts';
import type { Primitives } from './primitives.ts';
import { checkCompressed, checkEncoded } from './write-check.ts';

/** Compressing this much tells whether the rest is worth it. */
const SAMPLE_BYTES = 16 * 1024;
const WORTH = 0.97;

export async function encodeChunk(job: EncodeJob, primitives: Primitives): Promise<EncodeResult> {
  const coder = await primitives.coder(job.code);
  const { dataShards, totalShards } = coder.code;
  const laps = new Laps(primitives.now);
  const plain = primitives.memory.subarray(job.frame, job.frame + job.plainLength);
  const { codec, storedLength } = compressInPlace(
    plain,
    await primitives.codec(job.codec, job.level),
    job,
    primitives,
    laps,
  );
  laps.end('compress');
  const shardLength = coder.code.shardLength(storedLength);
  const frame = primitives.memory.subarray(job.frame, job.frame + dataShards * shardLength);
  // The padding is encrypted too: its length, and so the exact size, shows nowhere.
  frame.fill(0, storedLength);
  const offsets = shardOffsets(job.base, totalShards, shardLength);
  const shards = offsets.map((offset) => primitives.memory.subarray(offset, offset + shardLength));
  const tag = primitives.aead.seal(job.key, chunkAad({ ...job, codec }), frame, shards.slice(0, dataShards));
  laps.end('encrypt');
  await coder.encode(offsets, shardLength);
  laps.end('encode');
  const digests = new Uint8Array(32 * totalShards);
  shards.forEach((bytes, shard) => {
    digests.set(primitives.blake3.hash(bytes), 32 * shard);
  });
  laps.end('shard-hash');
  const encoded = { codec, storedLength, shardLength, tag, digests };
  await checkEncoded(job, { ...encoded, offsets }, primitives);
  laps.end('write-check');
  return { ...encoded, spent: laps.spent };
}

/** Codecs may want more room than the plaintext takes, until they know better. */
const frameRoom = (bytes: number): number => bytes + (bytes >> 7) + 1024;

/** Replaces the plaintext by its compressed form where that is shorter. */
function compressInPlace(
  plain: Uint8Array,
  codec: Codec,
  { check }: EncodeJob,
  primitives: Primitives,
  laps: Laps,
): { codec: number; storedLength: number } {
  const unchanged = { codec: CODEC_IDS.none, storedLength: plain.length };
  if (codec.id === CODEC_IDS.none || !looksCompressible(plain, codec, primitives)) return unchanged;
  const compressed = codec.compress(plain, primitives.scratch(frameRoom(plain.length)));
  if (compressed.length >= plain.length) return unchanged;
  laps.end('compress');
  // Where the whole is checked, the way back leads through this too.
  if (check === 'compression') checkCompressed(compressed, plain, codec, primitives);
  laps.end('write-check');
  plain.set(compressed);
  return { codec: codec.id, storedLength: compressed.length };
}

function looksCompressible(plain: Uint8Array, codec: Codec, primitives: Primitives): boolean {
  if (plain.length <= 4 * SAMPLE_BYTES) return true;
  const tries = [0, plain.length >> 1].map((at) => plain.subarray(at, at + SAMPLE_BYTES));
  const room = primitives.scratch(frameRoom(SAMPLE_BYTES));
  return tries.some((sample) => codec.compress(sample, room).length < WORTH * sample.length);
}
