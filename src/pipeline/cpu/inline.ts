import type { TileMemory } from '../../coding/erasure/xor-program.ts';
import type { Acceleration, OnUnfit } from '../../core/acceleration.ts';
import { equalBytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import type { WasmMemory } from '../../core/wasm.ts';
import { decodeChunk, rebuildShards } from './decode.ts';
import { encodeChunk } from './encode.ts';
import type { CpuStage, HashJob } from './jobs.ts';
import { loadPrimitives, type Primitives } from './primitives.ts';
import { kernelFault } from './write-check.ts';

/** The CPU stage on the calling thread: for small objects, where starting a worker costs more than the work. */
export function createInlineStage(
  memory: WasmMemory,
  acceleration: Acceleration,
  clock: Clock,
  tiles?: TileMemory,
  onUnfit?: OnUnfit,
): CpuStage {
  let loading: Promise<Primitives> | undefined;
  const load = (): Promise<Primitives> => {
    loading ??= loadPrimitives(memory, acceleration, clock, tiles, onUnfit);
    return loading;
  };
  return {
    async encode(job) {
      return encodeChunk(job, await load());
    },
    async decode(job) {
      return decodeChunk(job, await load());
    },
    async rebuild(job) {
      return rebuildShards(job, await load());
    },
    async hash(job) {
      return hashRanges(job, await load());
    },
    close: async () => {},
  };
}

/** @throws HoldfastError `Corrupt`, code `kernel_fault`, when it is hashed twice and the digests differ. */
export async function hashRanges(job: HashJob, primitives: Primitives): Promise<Uint8Array[]> {
  const bytes = job.ranges.reduce((sum, ranges) => sum + lengthOf(ranges), 0);
  const second = job.twice ? await primitives.second.blake3(bytes) : undefined;
  return job.ranges.map((ranges) => {
    const parts: Uint8Array[] = [];
    for (let i = 0; i < ranges.length; i += 2) {
      const offset = ranges[i]!;
      parts.push(primitives.memory.subarray(offset, offset + ranges[i + 1]!));
    }
    const digest = primitives.blake3.hashParts(parts);
    if (second !== undefined && !equalBytes(second.hashParts(parts), digest)) {
      throw kernelFault(`blake3 (${primitives.blake3.name})`, 'a pack has another address');
    }
    return digest;
  });
}

/** Of offsets and lengths in turn. */
function lengthOf(ranges: readonly number[]): number {
  let bytes = 0;
  for (let i = 1; i < ranges.length; i += 2) bytes += ranges[i]!;
  return bytes;
}
