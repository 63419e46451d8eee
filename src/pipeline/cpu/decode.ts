import { chunkAad } from '../../coding/chunk-cipher.ts';
import { CODEC_IDS } from '../../coding/compress/codec.ts';
import type { Blake3 } from '../../core/b3/blake3.ts';
import { equalBytes } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';
import {
  type DecodeJob,
  type DecodeResult,
  Laps,
  type RebuildJob,
  type RebuildResult,
  type ShardsInPlace,
} from './jobs.ts';
import type { Primitives } from './primitives.ts';

export async function decodeChunk(job: DecodeJob, primitives: Primitives): Promise<DecodeResult> {
  const laps = new Laps(primitives.now);
  const { spent } = laps;
  const bad = await badShards(job, primitives);
  laps.end('shard-check');
  if (bad.length > 0) return { bad, spent };
  const { dataShards } = primitives.code(job.code);
  const missing = dataShardsMissing(job.present, dataShards);
  if (missing.length > 0) {
    const coder = await primitives.coder(job.code);
    await coder.rebuild(job.offsets, job.shardLength, missing, job.present);
  }
  laps.end('rebuild');
  const base = job.offsets[0]!;
  const frame = primitives.memory.subarray(base, base + dataShards * job.shardLength);
  const shards = job.offsets
    .slice(0, dataShards)
    .map((at) => primitives.memory.subarray(at, at + job.shardLength));
  primitives.aead.open(job.key, chunkAad(job), shards, job.tag, frame);
  laps.end('decrypt');
  const stored = frame.subarray(0, job.storedLength);
  if (job.codec === CODEC_IDS.none) {
    if (job.storedLength !== job.plainLength) throw wrongLength(job);
    return { bad, spent };
  }
  const codec = await primitives.codecById(job.codec);
  const plain = codec.decompress(stored, job.plainLength, primitives.scratch(job.plainLength));
  if (plain.length !== job.plainLength) throw wrongLength(job);
  primitives.memory.set(plain, base);
  laps.end('decompress');
  return { bad, spent };
}

/** A shard that was computed is believed as any other: for its digest. */
export async function rebuildShards(job: RebuildJob, primitives: Primitives): Promise<RebuildResult> {
  const laps = new Laps(primitives.now);
  const { spent } = laps;
  const bad = await badShards(job, primitives);
  laps.end('shard-check');
  if (bad.length > 0) return { bad, wrong: [], spent };
  const coder = await primitives.coder(job.code);
  await coder.rebuild(job.offsets, job.shardLength, job.missing, job.present);
  laps.end('rebuild');
  const wrong = await badShards({ ...job, present: job.missing }, primitives);
  laps.end('shard-check');
  return { bad, wrong, spent };
}

/** A provider is blamed only when another implementation says so too: the first may have been wrong itself. */
async function badShards(job: ShardsInPlace, primitives: Primitives): Promise<number[]> {
  const suspects = job.present.filter((shard) => !shardIsRight(job, shard, primitives, primitives.blake3));
  if (suspects.length === 0) return suspects;
  const second = await primitives.second.blake3(suspects.length * job.shardLength);
  return suspects.filter((shard) => !shardIsRight(job, shard, primitives, second));
}

function shardIsRight(job: ShardsInPlace, shard: number, primitives: Primitives, blake3: Blake3): boolean {
  const offset = job.offsets[shard]!;
  const digest = blake3.hash(primitives.memory.subarray(offset, offset + job.shardLength));
  return equalBytes(digest, job.digests.subarray(32 * shard, 32 * shard + 32));
}

function dataShardsMissing(present: readonly number[], dataShards: number): number[] {
  const there = new Set(present);
  return Array.from({ length: dataShards }, (_, shard) => shard).filter((shard) => !there.has(shard));
}

function wrongLength(job: DecodeJob): HoldfastError {
  return new HoldfastError(
    'Corrupt',
    `chunk ${job.index} does not have the length that its manifest states`,
    {
      code: 'wrong_length',
    },
  );
}
