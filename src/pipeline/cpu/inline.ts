import type { TileMemory } from '../../coding/erasure/tile-memory.ts';
import type { Acceleration } from '../../core/acceleration.ts';
import type { Clock } from '../../core/clock.ts';
import type { WasmMemory } from '../../core/wasm.ts';
import { decodeChunk } from './decode.ts';
import { encodeChunk } from './encode.ts';
import type { CpuStage, HashJob } from './jobs.ts';
import { loadPrimitives, type Primitives } from './primitives.ts';

/** The CPU stage on the calling thread: for small objects, where starting a worker costs more than the work. */
export function createInlineStage(
  memory: WasmMemory,
  acceleration: Acceleration,
  clock: Clock,
  tiles?: TileMemory,
): CpuStage {
  let loading: Promise<Primitives> | undefined;
  const load = (): Promise<Primitives> => {
    loading ??= loadPrimitives(memory, acceleration, clock, tiles);
    return loading;
  };
  return {
    async encode(job) {
      return encodeChunk(job, await load());
    },
    async decode(job) {
      return decodeChunk(job, await load());
    },
    async hash(job) {
      return hashRanges(job, await load());
    },
    close: async () => {},
  };
}

export function hashRanges(job: HashJob, use: Primitives): Uint8Array[] {
  return job.ranges.map((ranges) => {
    const parts: Uint8Array[] = [];
    for (let i = 0; i < ranges.length; i += 2) {
      const offset = ranges[i]!;
      parts.push(use.memory.subarray(offset, offset + ranges[i + 1]!));
    }
    return use.blake3.hashParts(parts);
  });
}
