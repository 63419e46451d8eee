import { abortError, throwIfAborted } from '../../src/core/abort.ts';
import type { Clock } from '../../src/core/clock.ts';

/** Lets what was woken do what it will, as far as it needs no time. */
const settle = async (): Promise<void> => {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
};

interface Due {
  readonly at: number;
  readonly call: () => void;
}

/** Time that passes only when told to; with `auto`, a sleep takes its time at once. */
export class FakeClock implements Clock {
  /** The monotonic time. */
  ms: number;
  /** How far the wall clock is ahead of where it should be. */
  jump = 0;
  /** How long each sleep that was begun was to be. */
  readonly sleeps: number[] = [];
  readonly #auto: boolean;
  readonly #due = new Set<Due>();
  readonly #asleep = new Set<Due>();

  constructor({ auto = false, ms = 0 }: { readonly auto?: boolean; readonly ms?: number } = {}) {
    this.#auto = auto;
    this.ms = ms;
  }

  readonly now = (): number => 1_700_000_000_000 + this.ms + this.jump;

  readonly monotonic = (): number => this.ms;

  readonly timer = (ms: number, callback: () => void): (() => void) => {
    const due = { at: this.ms + ms, call: callback };
    this.#due.add(due);
    return () => this.#due.delete(due);
  };

  readonly sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      throwIfAborted(signal, 'sleep');
      this.sleeps.push(ms);
      if (this.#auto) {
        this.ms += ms;
        resolve();
        return;
      }
      const over = (): void => {
        this.#due.delete(due);
        this.#asleep.delete(due);
        signal?.removeEventListener('abort', onAbort);
      };
      const onAbort = (): void => {
        over();
        reject(abortError(signal as AbortSignal, 'sleep'));
      };
      const wake = (): void => {
        over();
        resolve();
      };
      const due = { at: this.ms + ms, call: wake };
      this.#due.add(due);
      this.#asleep.add(due);
      signal?.addEventListener('abort', onAbort, { once: true });
    });

  /** Sleeps that were begun and are not over. */
  get asleep(): number {
    return this.#asleep.size;
  }

  /** Moves the time on at once, and calls what is due by then. */
  move(ms: number): void {
    this.ms += ms;
    for (let next = this.#next(this.ms); next !== undefined; next = this.#next(this.ms)) next.call();
  }

  /** Moves the time on from one that is due to the next, letting what each does take place. */
  async advance(ms: number): Promise<void> {
    const end = this.ms + ms;
    await settle();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.ms = Math.max(this.ms, next.at);
      next.call();
      await settle();
    }
    this.ms = Math.max(this.ms, end);
    await settle();
  }

  /** The first that is due by then, which is taken out. */
  #next(by: number): Due | undefined {
    let first: Due | undefined;
    for (const due of this.#due) if (due.at <= by && (first === undefined || due.at < first.at)) first = due;
    if (first !== undefined) this.#due.delete(first);
    return first;
  }
}
