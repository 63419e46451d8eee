import type { CpuStage } from './jobs.ts';

/** Work that is done before threads would have paid for their start. */
const INLINE_BYTES = 2 * 1024 * 1024;

/**
 * Begins on the calling thread and moves to worker threads once there is enough to do, so that small objects do not
 * wait for threads to start.
 */
export function createAutoStage(inline: CpuStage, startPool: () => Promise<CpuStage>): CpuStage {
  let pool: Promise<CpuStage> | undefined;
  let done = 0;
  const pick = async (bytes: number): Promise<CpuStage> => {
    // The chunk that passes the limit is still done here: it may be the last one, as where a range is read.
    if (pool === undefined && done < INLINE_BYTES) {
      done += bytes;
      return inline;
    }
    pool ??= startPool();
    return pool;
  };
  return {
    encode: async (job) => (await pick(job.plainLength)).encode(job),
    decode: async (job) => (await pick(job.plainLength)).decode(job),
    rebuild: async (job) => (await pick(job.shardLength * job.present.length)).rebuild(job),
    hash: async (job) => (await pick(0)).hash(job),
    async close() {
      await inline.close();
      await (await pool)?.close();
    },
  };
}
