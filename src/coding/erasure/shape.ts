import { HoldfastError } from '../../core/errors.ts';

/** Shards are whole runs of eight packets of at least 64 bytes. */
const SHARD_QUANTUM = 512;
/** Two vectors of offsets and packets must stay within 32 bits. */
const MAX_SHARD_BYTES = 64 * 1024 ** 2;

/**
 * The shortest shard length that holds `frameBytes` over `dataShards` shards: a multiple of 512, doubled as often as
 * the packet is halved, so that every packet is a multiple of 64 bytes.
 */
export function shardLengthOf(frameBytes: number, dataShards: number): number {
  if (!Number.isSafeInteger(frameBytes) || frameBytes < 0 || frameBytes > dataShards * MAX_SHARD_BYTES) {
    throw badShards(`a chunk of ${String(frameBytes)} bytes cannot be coded over ${dataShards} shards`);
  }
  for (let quantum = SHARD_QUANTUM; ; quantum *= 2) {
    const length = quantum * Math.max(1, Math.ceil(frameBytes / dataShards / quantum));
    if (packetLengthOf(length, dataShards) % 64 === 0) return length;
  }
}

/**
 * The packet length of a shard: an eighth of it, halved while it is over 64, even, and eight packets of every data
 * shard and one more exceed 1 MiB. Parity bytes depend on it, so it is part of the format.
 */
export function packetLengthOf(shardLength: number, dataShards: number): number {
  let packet = shardLength / 8;
  while (packet > 64 && packet % 2 === 0 && (1 + 8 * dataShards) * packet > 1_048_576) packet /= 2;
  return packet;
}

export function assertShardLength(shardLength: number, dataShards: number): void {
  if (
    !Number.isInteger(shardLength) ||
    shardLength < SHARD_QUANTUM ||
    shardLength > MAX_SHARD_BYTES ||
    packetLengthOf(shardLength, dataShards) % 64 !== 0
  ) {
    throw badShards(
      `no shard is ${String(shardLength)} bytes long: a multiple of 512, of 1024 where packets are halved, and so on`,
    );
  }
}

/** Distinct indices in ascending order. @throws HoldfastError `Corrupt` for one out of range, or a duplicate. */
export function shardSet(indices: Iterable<number>, totalShards: number): number[] {
  const seen = new Set<number>();
  for (const index of indices) {
    if (!Number.isInteger(index) || index < 0 || index >= totalShards) {
      throw badShards(`shard ${String(index)} does not exist: there are ${totalShards}`);
    }
    if (seen.has(index)) throw badShards(`shard ${index} is named twice`);
    seen.add(index);
  }
  return [...seen].sort((a, b) => a - b);
}

export function badShards(message: string): HoldfastError {
  return new HoldfastError('Corrupt', message, { code: 'bad_shards' });
}

/**
 * The distance at which consecutive shards are best laid out in an arena: two cache lines over the length, so
 * that equal places of all shards do not compete for the same few cache lines. Any other layout gives the same bytes.
 */
export const shardStride = (shardLength: number): number => shardLength + 128;
