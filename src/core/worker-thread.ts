import { parentPort, type TransferListItem, Worker } from 'node:worker_threads';
import type { Clock } from './clock.ts';
import {
  asHoldfastError,
  type ErrorCode,
  type ErrorKind,
  type ErrorStatus,
  HoldfastError,
} from './errors.ts';

/** What a worker answers: jobs may overtake each other. */
type WorkerAnswer = { readonly id: number } & (
  | { readonly ok: unknown }
  | { readonly error: SerializedError }
);

/** Errors cross the thread border as data: a class would arrive as a plain `Error`. */
interface SerializedError {
  readonly error: ErrorKind;
  readonly code: ErrorCode;
  readonly status: ErrorStatus;
  readonly message: string;
  readonly hint?: string;
  readonly context?: Record<string, unknown>;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: HoldfastError) => void;
}

/** Without native code jobs leave much short-lived memory behind; a small nursery collects it early. */
const YOUNG_MB = 4;

export interface WorkerThreadOptions {
  readonly script: URL;
  /** What the thread finds as its `workerData`. */
  readonly setup: unknown;
  /** A thread that had nothing to do for so long ends. */
  readonly idleMs: number;
  readonly clock: Clock;
  /** Called once, when the thread takes no more jobs. */
  readonly onGone: () => void;
  /** Called whenever a job has ended. */
  readonly onFree: () => void;
}

/** One worker thread and the jobs it has. It keeps the process alive only while it has any. */
export class WorkerThread<Work> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #idleMs: number;
  readonly #clock: Clock;
  readonly #onGone: () => void;
  #cancelIdle: () => void = () => {};
  #nextId = 0;

  constructor({ script, setup, idleMs, clock, onGone, onFree }: WorkerThreadOptions) {
    this.#idleMs = idleMs;
    this.#clock = clock;
    let gone = false;
    this.#onGone = () => {
      if (!gone) onGone();
      gone = true;
    };
    this.#worker = new Worker(script, {
      workerData: setup,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
    });
    this.#worker.unref();
    let cause: unknown;
    this.#worker.on('message', (answer: WorkerAnswer) => {
      this.#settle(answer);
      onFree();
    });
    this.#worker.on('error', (error) => {
      cause = error;
    });
    this.#worker.on('exit', () => {
      this.#cancelIdle();
      for (const { reject } of this.#waiting.values()) reject(workerFailed(cause));
      this.#waiting.clear();
      this.#onGone();
      onFree();
    });
  }

  /** How many jobs it has, the one it works on included. */
  get jobs(): number {
    return this.#waiting.size;
  }

  /** @param transfer what of the job the thread gets for its own. */
  run(work: Work, transfer: readonly TransferListItem[] = []): Promise<unknown> {
    this.#cancelIdle();
    if (this.#waiting.size === 0) this.#worker.ref();
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, work }, transfer);
    });
  }

  async stop(): Promise<void> {
    this.#onGone();
    await this.#worker.terminate();
  }

  #settle(answer: WorkerAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) this.#rest();
    if ('ok' in answer) waiting?.resolve(answer.ok);
    else waiting?.reject(revive(answer.error));
  }

  #rest(): void {
    this.#worker.unref();
    this.#cancelIdle = this.#clock.timer(this.#idleMs, () => void this.stop(), { idle: true });
  }
}

export function workerFailed(cause: unknown): HoldfastError {
  return new HoldfastError('Unexpected', 'a worker thread failed', { code: 'worker_failed', cause });
}

function revive({ error, message, code, status, hint, context }: SerializedError): HoldfastError {
  return new HoldfastError(error, message, {
    code,
    status,
    ...(hint === undefined ? {} : { hint }),
    ...(context === undefined ? {} : { context }),
  });
}

/** In a worker thread: does the jobs that it is given, each as it comes. @param transferOf what of an answer is given away. */
export function doJobs<Work>(
  work: (job: Work) => Promise<unknown>,
  transferOf: (answer: unknown) => TransferListItem[] = () => [],
): void {
  const port = parentPort!;
  port.on('message', async ({ id, work: job }: { id: number; work: Work }) => {
    let message: WorkerAnswer;
    let transfer: TransferListItem[] = [];
    try {
      const ok = await work(job);
      message = { id, ok };
      transfer = transferOf(ok);
    } catch (thrown) {
      message = { id, error: asHoldfastError(thrown).toJSON() as unknown as SerializedError };
    }
    port.postMessage(message, transfer);
  });
}
