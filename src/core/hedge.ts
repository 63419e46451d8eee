import { type LinkedAbort, linkedAbort, NO_LONGER_NEEDED, throwIfAborted } from './abort.ts';
import type { Clock } from './clock.ts';
import { asHoldfastError, HoldfastError } from './errors.ts';
import { lateAfterMs, type StragglerPolicy } from './stragglers.ts';

/** One of several ways to the same thing. It must settle, sooner or later, once its signal has fired. */
export type Attempt<T> = (signal: AbortSignal) => Promise<T>;

interface HedgeOptions<T> {
  readonly signal?: AbortSignal | undefined;
  /** For the text of errors. */
  readonly operation: string;
  /** The winner's own signal stays linked to `signal`, for what it still reads. Default: it is over when it has won. */
  readonly goesOn?: boolean | undefined;
  /** What came too late, to be let go of. */
  readonly discard?: ((late: T) => void) | undefined;
  /** Once no attempt is left to make: gives up when nothing happens for so long. What still runs then counts as failed. */
  readonly giveUpMs?: number | undefined;
  /** Told of each attempt (by its index) that failed, in the order of failing. */
  readonly onFailure?: ((attempt: number, error: HoldfastError) => void) | undefined;
  /** Told of each that was overtaken: it had had more than its time when another won. */
  readonly onLate?: ((attempt: number, elapsedMs: number) => void) | undefined;
}

export interface Hedge {
  /**
   * Makes the attempts in their order: the next when the latest is late or has failed. The first to succeed wins, and
   * the others are aborted without being waited for.
   * @returns undefined when all have failed.
   * @throws HoldfastError `Aborted` as soon as `signal` fires, whatever the attempts do.
   */
  run<T>(attempts: readonly Attempt<T>[], options: HedgeOptions<T>): Promise<Won<T> | undefined>;
}

interface Won<T> {
  readonly value: T;
  readonly attempt: number;
}

/** So many of the latest winners are remembered. */
const MEMORY = 128;
const QUANTILE = 0.95;

interface Running<T> {
  readonly attempt: number;
  readonly startedMs: number;
  readonly stop: LinkedAbort;
  readonly outcome: Promise<Outcome<T>>;
}

type Outcome<T> = { readonly attempt: number } & (
  | { readonly value: T; readonly ms: number }
  | { readonly error: HoldfastError }
);

/**
 * Reads of things that several have. What is late is told by the 95th of 100 recent winners, each by its own time from
 * when it was tried; while fewer than `enough` were seen it is the policy's `aloneMs`. From the third attempt on the wait
 * grows, so that a link on which everything is slow is not filled with copies.
 */
export function createHedge(clock: Clock, policy: StragglerPolicy, enough = 1): Hedge {
  const recent: number[] = [];
  const record = (ms: number): void => {
    if (recent.push(ms) > MEMORY) recent.shift();
  };
  const patienceMs = (): number => {
    const known = recent.length >= enough;
    const sorted = known ? recent.toSorted((a, b) => a - b) : [];
    const slowestMs = sorted[Math.floor(QUANTILE * sorted.length)] ?? 0;
    return lateAfterMs(policy, { done: known ? recent.length : 0, running: 1, slowestMs });
  };

  return {
    async run<T>(attempts: readonly Attempt<T>[], options: HedgeOptions<T>) {
      const { signal, operation } = options;
      throwIfAborted(signal, operation);
      const race = new Race(clock, attempts, options);
      try {
        while (race.running > 0 || race.launch()) {
          const waitMs = race.left > 0 ? patienceMs() * Math.max(1, race.running - 1) : options.giveUpMs;
          const outcome = await race.next(waitMs);
          throwIfAborted(signal, operation);
          if (outcome === undefined && !race.launch()) return race.giveUp();
          if (outcome === undefined) continue;
          if ('value' in outcome) {
            record(outcome.ms);
            race.overtaken(patienceMs());
            return { value: outcome.value, attempt: outcome.attempt };
          } else {
            options.onFailure?.(outcome.attempt, outcome.error);
            race.launch();
          }
        }
        return undefined;
      } finally {
        race.end();
      }
    },
  };
}

/** One run's attempts under way. */
class Race<T> {
  readonly #clock: Clock;
  readonly #options: HedgeOptions<T>;
  readonly #attempts: readonly Attempt<T>[];
  readonly #running = new Map<number, Running<T>>();
  readonly #outer: LinkedAbort;
  readonly #aborted: Promise<undefined>;
  #next = 0;

  constructor(clock: Clock, attempts: readonly Attempt<T>[], options: HedgeOptions<T>) {
    this.#clock = clock;
    this.#attempts = attempts;
    this.#options = options;
    this.#outer = linkedAbort(options.signal, options.operation);
    this.#aborted = new Promise((resolve) => {
      this.#outer.signal.addEventListener('abort', () => resolve(undefined), { once: true });
    });
  }

  get running(): number {
    return this.#running.size;
  }

  get left(): number {
    return this.#attempts.length - this.#next;
  }

  /** Starts the next attempt. @returns whether there was one. */
  launch(): boolean {
    const attempt = this.#next;
    const work = this.#attempts[attempt];
    if (work === undefined) return false;
    this.#next++;
    const startedMs = this.#clock.monotonic();
    const stop = linkedAbort(this.#options.signal, this.#options.operation);
    const outcome = work(stop.signal).then(
      (value): Outcome<T> => ({ attempt, value, ms: this.#clock.monotonic() - startedMs }),
      (error: unknown): Outcome<T> => ({ attempt, error: asHoldfastError(error) }),
    );
    this.#running.set(attempt, { attempt, startedMs, stop, outcome });
    return true;
  }

  /** The next outcome; undefined once `waitMs` is over or all was aborted. */
  async next(waitMs: number | undefined): Promise<Outcome<T> | undefined> {
    const outcomes: Promise<Outcome<T> | undefined>[] = [...this.#running.values()].map((one) => one.outcome);
    const outcome = await this.#within(waitMs, Promise.race([...outcomes, this.#aborted]));
    const ended = outcome && this.#running.get(outcome.attempt);
    if (outcome !== undefined) this.#running.delete(outcome.attempt);
    if (outcome !== undefined && ('error' in outcome || this.#options.goesOn !== true)) ended?.stop.dispose();
    return outcome;
  }

  giveUp(): undefined {
    const now = this.#clock.monotonic();
    for (const { attempt, startedMs } of this.#running.values()) {
      this.#options.onLate?.(attempt, now - startedMs);
      this.#options.onFailure?.(attempt, TOO_LATE);
    }
  }

  overtaken(patienceMs: number): void {
    const now = this.#clock.monotonic();
    for (const { attempt, startedMs } of this.#running.values()) {
      if (now - startedMs >= patienceMs) this.#options.onLate?.(attempt, now - startedMs);
    }
  }

  end(): void {
    this.#outer.dispose();
    for (const { stop, outcome } of this.#running.values()) {
      stop.dispose();
      stop.abort(LOST);
      void outcome.then((late) => 'value' in late && this.#options.discard?.(late.value));
    }
  }

  async #within<R>(ms: number | undefined, work: Promise<R>): Promise<R | undefined> {
    if (ms === undefined || !Number.isFinite(ms)) return work;
    const enough = new AbortController();
    const timeout = this.#clock.sleep(ms, enough.signal).then(
      () => undefined,
      () => undefined,
    );
    try {
      return await Promise.race([work, timeout]);
    } finally {
      enough.abort(NO_LONGER_NEEDED);
    }
  }
}

const TOO_LATE = new HoldfastError('Timeout', 'it does not answer', { code: 'lost_race' });
const LOST = new HoldfastError('Aborted', 'another was faster', { code: 'lost_race' });
