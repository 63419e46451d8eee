import { Piscina } from 'piscina';
import type { Acceleration } from '../../core/acceleration.ts';
import { type ErrorKind, type ErrorStatus, HoldfastError } from '../../core/errors.ts';
import type { WasmMemory } from '../../core/wasm.ts';
import type { CpuStage } from './jobs.ts';
import type { WorkerJob, WorkerSetup } from './worker.ts';

export interface PoolOptions {
  readonly memory: WasmMemory;
  readonly acceleration: Acceleration;
  readonly threads: number;
  /** Jobs that may wait; the callers' own bounds keep far below. */
  readonly maxQueue: number;
}

const YOUNG_MB = 4;

/** The CPU stage on worker threads. Starts them on the first job; they share the arena and receive no bytes. */
export function createPoolStage(options: PoolOptions): CpuStage {
  const setup: WorkerSetup = { memory: options.memory, acceleration: options.acceleration };
  const pool = new Piscina({
    filename: new URL('./worker.js', import.meta.url).href,
    minThreads: 1,
    maxThreads: options.threads,
    idleTimeout: 10_000,
    maxQueue: options.maxQueue,
    workerData: setup,
    // Jobs leave much short-lived external memory behind; a small nursery collects it early.
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
  });
  const run = async <T>(work: WorkerJob, signal: AbortSignal | undefined): Promise<T> => {
    let answer: { ok: T } | { error: SerializedError };
    try {
      answer = (await pool.run(work, signal === undefined ? {} : { signal })) as typeof answer;
    } catch (cause) {
      if (signal?.aborted) throw new HoldfastError('Aborted', 'the operation was aborted', { cause });
      throw new HoldfastError('Unexpected', 'a worker thread failed', { code: 'worker_failed', cause });
    }
    if ('ok' in answer) return answer.ok;
    throw revive(answer.error);
  };
  return {
    encode: (job, { signal } = {}) => run({ kind: 'encode', job }, signal),
    decode: (job, { signal } = {}) => run({ kind: 'decode', job }, signal),
    hash: (job, { signal } = {}) => run({ kind: 'hash', job }, signal),
    close: () => pool.destroy(),
  };
}

interface SerializedError {
  readonly error: ErrorKind;
  readonly code: string;
  readonly status: ErrorStatus;
  readonly message: string;
  readonly hint?: string;
  readonly context?: Record<string, unknown>;
}

function revive({ error, message, code, status, hint, context }: SerializedError): HoldfastError {
  return new HoldfastError(error, message, {
    code,
    status,
    ...(hint === undefined ? {} : { hint }),
    ...(context === undefined ? {} : { context }),
  });
}
