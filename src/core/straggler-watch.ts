import { type LinkedAbort, linkedAbort, NO_LONGER_NEEDED } from './abort.ts';
import type { Clock } from './clock.ts';
import { HoldfastError } from './errors.ts';
import { lateAfterMs, type StragglerPolicy } from './stragglers.ts';

const CHECK_MS = 20;
/** Who is there and stands still is asked again this often. */
const ASK_EVERY_MS = 5_000;

/** One provider's part of the work. */
export interface Turn {
  /** Fires when it is given up on, with an `Aborted`, code `lost_race`. */
  readonly signal: AbortSignal;
  /** Whether it was given up on. */
  readonly late: boolean;
  /** A piece of its work was done, which took so many milliseconds. */
  progressed(ms: number): void;
  /** Its part is over, done or not. Must be called. */
  end(): void;
}

interface Running {
  readonly stop: LinkedAbort;
  /** When it last got on. */
  sinceMs: number;
  progressed: boolean;
  late: boolean;
  askedMs: number;
  readonly isThere: ((signal: AbortSignal) => Promise<boolean>) | undefined;
  readonly onLate: (() => void) | undefined;
}

/**
 * For work that every provider gets a part of and that may be left undone at some: gives up on those that stand still
 * while others get on. While too few do, it is not the provider, and everybody is waited for (or, where the policy has
 * `aloneMs`, for so long). Call `close` in the end.
 */
export class Stragglers {
  readonly #clock: Clock;
  readonly #policy: StragglerPolicy;
  readonly #running = new Set<Running>();
  readonly #over = new AbortController();
  #watching = false;
  /** Turns that ended and had got something done. */
  #done = 0;
  #slowestMs = 0;

  constructor(clock: Clock, policy: StragglerPolicy) {
    this.#clock = clock;
    this.#policy = policy;
  }

  /**
   * @param onLate called once, when it is given up on.
   * @param isThere asked before it is: while it says so, it is slow and not silent, and waited for.
   */
  begin(
    outer: AbortSignal | undefined,
    operation: string,
    onLate?: () => void,
    isThere?: (signal: AbortSignal) => Promise<boolean>,
  ): Turn {
    const running: Running = {
      stop: linkedAbort(outer, operation),
      askedMs: Number.NEGATIVE_INFINITY,
      isThere,
      sinceMs: this.#clock.monotonic(),
      progressed: false,
      late: false,
      onLate,
    };
    this.#running.add(running);
    if (!this.#watching) void this.#watch();
    return {
      signal: running.stop.signal,
      get late() {
        return running.late;
      },
      progressed: (ms) => {
        running.sinceMs = this.#clock.monotonic();
        running.progressed = true;
        this.#slowestMs = Math.max(this.#slowestMs, ms);
      },
      end: () => {
        if (!this.#running.delete(running)) return;
        if (running.progressed) this.#done++;
        running.stop.dispose();
      },
    };
  }

  close(): void {
    this.#over.abort(NO_LONGER_NEEDED);
  }

  async #watch(): Promise<void> {
    const { signal } = this.#over;
    this.#watching = true;
    while (!signal.aborted) {
      await this.#clock.sleep(CHECK_MS, signal).catch(() => {});
      this.#giveUp(this.#clock.monotonic());
    }
  }

  #giveUp(now: number): void {
    const progressed = [...this.#running].filter((running) => running.progressed).length;
    for (const running of this.#running) {
      if (running.late) continue;
      // Whoever is asked about is among those that run, whatever it got done before.
      const done = this.#done + progressed - Number(running.progressed);
      const field = { done, running: this.#running.size - done + this.#done, slowestMs: this.#slowestMs };
      if (now - running.sinceMs < lateAfterMs(this.#policy, field)) continue;
      if (running.isThere === undefined) giveUpOn(running);
      else if (now - running.askedMs >= ASK_EVERY_MS) void this.#ask(running, running.isThere, now);
    }
  }

  async #ask(running: Running, isThere: NonNullable<Running['isThere']>, now: number): Promise<void> {
    running.askedMs = now;
    const there = await isThere(running.stop.signal).catch(() => true);
    if (!there && this.#running.has(running) && running.sinceMs < now) giveUpOn(running);
  }
}

function giveUpOn(running: Running): void {
  running.late = true;
  running.stop.abort(standsStill());
  running.onLate?.();
}

const standsStill = (): HoldfastError =>
  new HoldfastError('Aborted', 'it stands still while others get on', { code: 'lost_race' });
