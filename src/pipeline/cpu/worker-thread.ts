import { Worker } from 'node:worker_threads';
import type { KnownTiles } from '../../coding/erasure/xor-program.ts';
import type { Acceleration } from '../../core/acceleration.ts';
import type { Clock } from '../../core/clock.ts';
import { type ErrorCode, type ErrorKind, type ErrorStatus, HoldfastError } from '../../core/errors.ts';
import type { WasmMemory } from '../../core/wasm.ts';
import type { DecodeJob, EncodeJob, HashJob, RebuildJob } from './jobs.ts';

export interface WorkerSetup {
  readonly memory: WasmMemory;
  readonly acceleration: Acceleration;
  readonly tiles: KnownTiles;
}

export type WorkerJob =
  | { readonly kind: 'encode'; readonly job: EncodeJob }
  | { readonly kind: 'decode'; readonly job: DecodeJob }
  | { readonly kind: 'rebuild'; readonly job: RebuildJob }
  | { readonly kind: 'hash'; readonly job: HashJob };

/** What a worker answers: jobs may overtake each other. */
export type WorkerAnswer = { readonly id: number } & (
  | { readonly ok: unknown }
  | { readonly error: SerializedError }
);

/** Errors cross the thread border as data: a class would arrive as a plain `Error`. */
export interface SerializedError {
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

/** One worker thread and the jobs it has. It keeps the process alive only while it has any. */
export class WorkerThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #idleMs: number;
  readonly #clock: Clock;
  readonly #onGone: () => void;
  #cancelIdle: () => void = () => {};
  #nextId = 0;

  /**
   * @param onGone called once, when the thread takes no more jobs.
   * @param onFree called whenever a job has ended.
   */
  constructor(
    script: URL,
    setup: WorkerSetup,
    idleMs: number,
    clock: Clock,
    onGone: (thread: WorkerThread) => void,
    onFree: () => void,
  ) {
    this.#idleMs = idleMs;
    this.#clock = clock;
    let gone = false;
    this.#onGone = () => {
      if (!gone) onGone(this);
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

  run(work: WorkerJob): Promise<unknown> {
    this.#cancelIdle();
    if (this.#waiting.size === 0) this.#worker.ref();
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, work });
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
