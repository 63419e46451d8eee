import { createHash, type Hash } from 'node:crypto';
import { abortError, throwIfAborted } from '../../src/core/abort.ts';
import type { Clock } from '../../src/core/clock.ts';
import { countedAs, type Fault } from './faults.ts';

interface Due {
  readonly at: number;
  readonly order: number;
  run: (() => void) | undefined;
}

const realImmediate = setImmediate;
const EPOCH_MS = 1_700_000_000_000;

/** Virtual time: a heap of what is to happen, and nothing else that happens. */
export class World {
  nowMs = 0;
  steps = 0;
  /** What was counted on the way, by name: which faults fired, which errors were met. */
  readonly seen = new Map<string, number>();
  readonly #heap: Due[] = [];
  readonly #trace: Hash = createHash('sha256');
  readonly #aloud: boolean;
  #order = 0;
  /** Work under way that takes time of the machine and none here. */
  #working = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** @param aloud the trace is printed too. */
  constructor(aloud = false) {
    this.#aloud = aloud;
  }

  count(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }

  fired(fault: Fault): void {
    this.count(countedAs(fault));
  }

  /** Part of the trace, by which two runs are compared. */
  note(...what: readonly (string | number)[]): void {
    const line = `${this.nowMs.toFixed(3)} ${what.join(' ')}\n`;
    if (this.#aloud) process.stderr.write(line);
    this.#trace.update(line);
  }

  traceHash(): string {
    return this.#trace.digest('hex');
  }

  /**
   * Time stands still until this work is done, and one is done after the other: how long the machine takes for each, with its
   * own threads, must change nothing.
   */
  standStill<T>(work: () => Promise<T>): Promise<T> {
    this.#working++;
    const done = this.#last.then(work).finally(() => this.#working--);
    this.#last = done.catch(() => {});
    return done;
  }

  /** @returns takes it back. */
  schedule(afterMs: number, run: () => void): () => void {
    const due: Due = { at: this.nowMs + Math.max(0, afterMs), order: this.#order++, run };
    this.#push(due);
    return () => {
      due.run = undefined;
    };
  }

  /** Lets time pass until `done`, or until it is `untilMs`. @returns whether it was done. */
  async run(done: () => boolean, untilMs: number, maxSteps: number): Promise<boolean> {
    await this.#settled();
    while (!done()) {
      const due = this.#heap[0];
      if (due === undefined || due.at > untilMs || this.steps >= maxSteps) return false;
      this.#pop();
      if (due.run === undefined) continue;
      this.steps++;
      this.nowMs = due.at;
      due.run();
      await this.#settled();
    }
    return true;
  }

  /** Everything that needs no time has been done. */
  async #settled(): Promise<void> {
    do await new Promise((resolve) => realImmediate(resolve));
    while (this.#working > 0);
  }

  #push(due: Due): void {
    const heap = this.#heap;
    let at = heap.push(due) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(due, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = due;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

const before = (a: Due, b: Due): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

/** A life that ends at once: nothing that was waited for comes any more. */
export class Life {
  alive = true;
  /** Until then nothing that was waited for comes: its machine sleeps, or swaps. */
  pausedUntilMs = 0;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** Calls back after so long, if it still lives. */
  after(ms: number, run: () => void): () => void {
    let takeBack = (): void => {};
    const onceAwake = (): void => {
      if (!this.alive) return;
      const asleepMs = this.pausedUntilMs - this.#world.nowMs;
      if (asleepMs > 0) takeBack = this.#world.schedule(asleepMs, onceAwake);
      else run();
    };
    takeBack = this.#world.schedule(ms, onceAwake);
    return () => takeBack();
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }
}

/** The clock of one process. @param jumpMs how far its wall clock is ahead. */
export function clockOf(world: World, life: Life, jumpMs: () => number): Clock {
  // As Node's: never at once.
  const timer = (ms: number, callback: () => void): (() => void) => life.after(Math.max(1, ms), callback);
  return {
    now: () => EPOCH_MS + world.nowMs + jumpMs(),
    monotonic: () => world.nowMs,
    timer,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        throwIfAborted(signal, 'sleep');
        const onAbort = (): void => {
          cancel();
          reject(abortError(signal as AbortSignal, 'sleep'));
        };
        const cancel = timer(ms, () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        });
        signal?.addEventListener('abort', onAbort, { once: true });
      }),
  };
}
