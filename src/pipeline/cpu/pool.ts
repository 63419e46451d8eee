import { existsSync } from 'node:fs';
import type { TileMemory } from '../../coding/erasure/xor-program.ts';
import type { Acceleration } from '../../core/acceleration.ts';
import type { Clock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { WasmMemory } from '../../core/wasm.ts';
import { WorkerThread, workerFailed } from '../../core/worker-thread.ts';
import type { CpuStage, WorkerJob, WorkerSetup } from './jobs.ts';

export interface PoolOptions {
  readonly memory: WasmMemory;
  readonly acceleration: Acceleration;
  /** What is known of the codes' programs when a thread starts, it need not work out again. */
  readonly tiles: TileMemory;
  readonly threads: number;
  /** Jobs that may wait; the callers' own bounds keep far below. */
  readonly maxQueue: number;
  /** A thread that had nothing to do for so long ends. */
  readonly idleMs?: number;
  /** What the threads run. */
  readonly script: URL;
  readonly clock: Clock;
}

interface Queued {
  readonly work: WorkerJob;
  readonly settle: (outcome: Promise<unknown>) => void;
}

/** The next job lies at the thread already when it ends one: waking a thread costs as much as hashing a shard. */
const AHEAD = 2;
const IDLE_MS = 10_000;

/** What the threads run; undefined where the program was bundled into a file without it beside. */
export function workerScript(): URL | undefined {
  try {
    // In one expression a bundler would take it for a file to copy, without what that imports.
    const { url } = import.meta;
    const script = new URL('./worker.js', url);
    return existsSync(script) ? script : undefined;
  } catch {
    return undefined; // a bundle may know no address of its own
  }
}

/** The CPU stage on worker threads. Starts them as jobs come; they share the arena and receive no bytes. */
export function createPoolStage(options: PoolOptions): CpuStage {
  const { memory, acceleration, tiles, idleMs = IDLE_MS, script } = options;
  const threads: WorkerThread<WorkerJob>[] = [];
  const queue: Queued[] = [];
  let closed = false;
  /** The least busy thread that can take a job; a new one rather than one that works already. */
  const pick = (): WorkerThread<WorkerJob> | undefined => {
    const [first] = [...threads].sort((a, b) => a.jobs - b.jobs);
    if (first !== undefined && first.jobs === 0) return first;
    if (threads.length < options.threads) {
      const setup: WorkerSetup = { memory, acceleration, tiles: tiles.known };
      const thread = new WorkerThread<WorkerJob>({
        ...{ script, setup, idleMs, clock: options.clock },
        onGone: () => void threads.splice(threads.indexOf(thread), 1),
        onFree: assign,
      });
      threads.push(thread);
      return thread;
    }
    return first !== undefined && first.jobs < AHEAD ? first : undefined;
  };
  const assign = (): void => {
    while (queue.length > 0 && !closed) {
      let thread: WorkerThread<WorkerJob> | undefined;
      try {
        thread = pick();
      } catch (cause) {
        queue.shift()!.settle(Promise.reject(workerFailed(cause)));
        continue;
      }
      if (thread === undefined) return;
      const { work, settle } = queue.shift()!;
      settle(thread.run(work));
    }
  };
  const run = <T>(work: WorkerJob): Promise<T> => {
    if (closed) return Promise.reject(poolClosed());
    if (queue.length >= options.maxQueue) return Promise.reject(poolFull(options.maxQueue));
    return new Promise<T>((resolve) => {
      queue.push({ work, settle: (outcome) => resolve(outcome as Promise<T>) });
      assign();
    });
  };
  return {
    encode: (job) => run({ kind: 'encode', job }),
    decode: (job) => run({ kind: 'decode', job }),
    rebuild: (job) => run({ kind: 'rebuild', job }),
    hash: (job) => run({ kind: 'hash', job }),
    async close() {
      closed = true;
      for (const { settle } of queue.splice(0)) settle(Promise.reject(poolClosed()));
      await Promise.all([...threads].map((thread) => thread.stop()));
    },
  };
}

const poolClosed = (): HoldfastError =>
  new HoldfastError('Aborted', 'the worker threads have been stopped', { code: 'pool_closed' });

const poolFull = (most: number): HoldfastError =>
  new HoldfastError('QuotaExceeded', `more than ${most} jobs wait for a processor`, { code: 'pool_full' });
