import { existsSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { abortError } from '../../core/abort.ts';
import type { Acceleration } from '../../core/acceleration.ts';
import { type Clock, withDeadline } from '../../core/clock.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import { WorkerThread, workerFailed } from '../../core/worker-thread.ts';
import type { Ed25519 } from '../ed25519/ed25519.ts';
import { listFiles } from '../log/folder.ts';
import { type EpochKnown, type FileRange, knowEpoch, type Place } from '../log/load.ts';
import { buffersOf, type EpochSums, type FileSums, sumEpoch } from '../sums.ts';
import { type Check, packChecks } from './signatures.ts';

/** What a thread starts with. */
export interface ReceiptSetup {
  readonly acceleration: Acceleration;
}

export type ReceiptJob =
  | { readonly kind: 'check'; readonly packed: Uint8Array }
  | { readonly kind: 'know'; readonly folder: string; readonly epoch: number }
  | { readonly kind: 'sum'; readonly folder: string; readonly epoch: number; readonly range: FileRange }
  | { readonly kind: 'join'; readonly parts: readonly FileSums[] };

export interface ThreadsOptions extends Place {
  readonly ed25519: Ed25519;
  readonly acceleration: Acceleration;
  readonly clock: Clock;
  /** Threads that check signatures. */
  readonly threads: number;
  /** What they run; undefined: everything is done without them. */
  readonly script: URL | undefined;
}

/** The work of receipts that a thread which serves reads had better not do. It comes to the same without threads. */
export interface ReceiptThreads extends Pick<Ed25519, 'verifyApart'> {
  know(epoch: number): Promise<EpochKnown>;
  sum(epoch: number, signal?: AbortSignal): Promise<EpochSums>;
  /** Ends what is under way. */
  close(): Promise<void>;
}

/** What the threads run; undefined where the program was bundled into a file without it beside. */
export function receiptsScript(): URL | undefined {
  try {
    // In one expression a bundler would take it for a file to copy, without what that imports.
    const { url } = import.meta;
    const script = new URL('./receipts-worker.js', url);
    return existsSync(script) ? script : undefined;
  } catch {
    return undefined; // a bundle may know no address of its own
  }
}

/** A thread that had nothing to do for so long ends. */
const IDLE_MS = 10_000;
/** The next batch lies at the thread already when it ends one. */
const AHEAD = 2;
const MAX_BATCH = 64;
/** Who is told a verdict goes on at once, and all in one turn would keep every read waiting. */
const TOLD_A_TURN = 16;
/** As many checks at a time are left to Node's own threads: a few a second are not worth one of ours. */
const FEW = 8;
/** Of a batch of signatures: a thread that takes longer does not work. */
const DEADLINE_MS = 30_000;

/** Starts a thread. @param onGone called once, when it takes no more jobs. @param onFree called whenever a job has ended. */
type Start = (script: URL, onGone: () => void, onFree?: () => void) => WorkerThread<ReceiptJob>;

export function createReceiptThreads(options: ThreadsOptions): ReceiptThreads {
  const { acceleration, clock } = options;
  const start: Start = (script, onGone, onFree = () => undefined) =>
    new WorkerThread<ReceiptJob>({
      ...{ script, clock, idleMs: IDLE_MS, onGone, onFree },
      setup: { acceleration } satisfies ReceiptSetup,
    });
  const checks = new CheckThreads(options, start);
  const reads = new ReadThreads(options, start);
  return {
    verifyApart: (publicKey, message, signature) => checks.check({ publicKey, message, signature }),
    know: (epoch) => reads.know(epoch),
    sum: (epoch, signal) => reads.sum(epoch, signal),
    close: async () => void (await Promise.all([checks.close(), reads.close()])),
  };
}

interface Waiting extends Check {
  settle(verdict: boolean | Promise<boolean>): void;
}

/** Signatures, many at a time. */
class CheckThreads {
  readonly #options: ThreadsOptions;
  readonly #start: Start;
  readonly #threads: WorkerThread<ReceiptJob>[] = [];
  readonly #waiting: Waiting[] = [];
  /** Undefined once a thread failed: then all is done without. */
  #script: URL | undefined;
  /** With Node's own threads. */
  #few = 0;
  #isAssigning = false;

  constructor(options: ThreadsOptions, start: Start) {
    this.#options = options;
    this.#start = start;
    this.#script = options.script;
  }

  async check(one: Check): Promise<boolean> {
    if (this.#script === undefined || (this.#threads.length === 0 && this.#few < FEW)) {
      this.#few++;
      try {
        return await this.#checkHere(one);
      } finally {
        this.#few--;
      }
    }
    return new Promise<boolean>((settle) => {
      this.#waiting.push({ ...one, settle });
      if (!this.#isAssigning) queueMicrotask(() => this.#assign());
      this.#isAssigning = true;
    });
  }

  async close(): Promise<void> {
    this.#goWithout();
    await Promise.all([...this.#threads].map((thread) => thread.stop()));
  }

  #assign(): void {
    this.#isAssigning = false;
    while (this.#waiting.length > 0) {
      try {
        const thread = this.#script === undefined ? undefined : this.#pick(this.#script);
        if (thread === undefined) return;
        void this.#checkOn(thread, this.#waiting.splice(0, MAX_BATCH));
      } catch {
        this.#goWithout();
      }
    }
  }

  /** The least busy; a new one rather than one that works already. */
  #pick(script: URL): WorkerThread<ReceiptJob> | undefined {
    const threads = this.#threads;
    const [first] = [...threads].sort((a, b) => a.jobs - b.jobs);
    if (first !== undefined && (first.jobs === 0 || threads.length >= this.#options.threads))
      return first.jobs < AHEAD ? first : undefined;
    const onGone = (): void => void threads.splice(threads.indexOf(thread), 1);
    const thread = this.#start(script, onGone, () => this.#assign());
    threads.push(thread);
    return thread;
  }

  async #checkOn(thread: WorkerThread<ReceiptJob>, batch: readonly Waiting[]): Promise<void> {
    try {
      const packed = packChecks(batch);
      const verdicts = (await withDeadline(this.#options.clock, DEADLINE_MS, 'receipts', () =>
        thread.run({ kind: 'check', packed }, [packed.buffer]),
      )) as Uint8Array;
      for (const [i, { settle }] of batch.entries()) {
        if (i > 0 && i % TOLD_A_TURN === 0) await nextTurn();
        settle(verdicts[i] === 1);
      }
    } catch {
      // Nothing is refused because a thread failed.
      for (const one of batch) one.settle(this.#checkHere(one));
      this.#goWithout();
      await thread.stop();
    }
  }

  #goWithout(): void {
    this.#script = undefined;
    for (const one of this.#waiting.splice(0)) one.settle(this.#checkHere(one));
  }

  #checkHere({ publicKey, message, signature }: Check): Promise<boolean> {
    return this.#options.ed25519.verifyApart(publicKey, message, signature);
  }
}

type Apart = (threads: readonly WorkerThread<ReceiptJob>[]) => Promise<unknown>;

/** Whole epochs, on threads that end with them: two at most, since more would take the cores from those who read. */
class ReadThreads {
  readonly #options: ThreadsOptions;
  readonly #start: Start;
  readonly #threads = new Set<WorkerThread<ReceiptJob>>();
  #isClosed = false;

  constructor(options: ThreadsOptions, start: Start) {
    this.#options = options;
    this.#start = start;
  }

  know(epoch: number): Promise<EpochKnown> {
    const { folder } = this.#options;
    const apart: Apart = ([thread]) => thread!.run({ kind: 'know', folder, epoch });
    return this.#run(1, apart, () => knowEpoch(this.#options, epoch));
  }

  /** The trees of the files do not depend on each other. */
  async sum(epoch: number, signal?: AbortSignal): Promise<EpochSums> {
    const { files, folder } = this.#options;
    const { count } = await listFiles(files, folder, epoch);
    const middle = count >> 1;
    const second = { from: middle, to: count };
    const ranges = middle === 0 ? [second] : [{ from: 0, to: middle }, second];
    const apart: Apart = async (threads) => {
      const sums = ranges.map((range, i) => threads[i]!.run({ kind: 'sum', folder, epoch, range }));
      const parts = (await inOrder(sums)) as FileSums[];
      return threads[0]!.run({ kind: 'join', parts }, parts.flatMap(buffersOf));
    };
    return this.#run(ranges.length, apart, () => sumEpoch(this.#options, epoch), signal);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#threads].map((thread) => thread.stop()));
  }

  /** @param apart on so many threads. @param here for where no thread can do it. */
  async #run<T>(count: number, apart: Apart, here: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#isClosed) throw closed();
    try {
      return (await this.#on(count, apart, signal)) as T;
    } catch (error) {
      if (signal?.aborted) throw abortError(signal, 'receipts');
      if (this.#isClosed) throw closed();
      if (!isHoldfastError(error) || error.code !== 'worker_failed') throw error;
      return here();
    }
  }

  async #on(count: number, apart: Apart, signal?: AbortSignal): Promise<unknown> {
    const { script } = this.#options;
    if (script === undefined) throw workerFailed(undefined);
    signal?.throwIfAborted();
    const threads: WorkerThread<ReceiptJob>[] = [];
    const stop = (): Promise<unknown> => Promise.all(threads.map((thread) => thread.stop()));
    signal?.addEventListener('abort', stop, { once: true });
    try {
      while (threads.length < count) threads.push(this.#begin(script));
      return await apart(threads);
    } finally {
      signal?.removeEventListener('abort', stop);
      await stop();
    }
  }

  /** A machine that has no room for another thread says so at once. */
  #begin(script: URL): WorkerThread<ReceiptJob> {
    try {
      const thread: WorkerThread<ReceiptJob> = this.#start(script, () => void this.#threads.delete(thread));
      this.#threads.add(thread);
      return thread;
    } catch (error) {
      throw workerFailed(error);
    }
  }
}

/** Of what fails, the first by its place and not by its time. */
async function inOrder<T>(all: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(all);
  return Promise.all(all);
}

const closed = (): HoldfastError =>
  new HoldfastError('Aborted', 'the threads of the receipts have been stopped', { code: 'pool_closed' });
