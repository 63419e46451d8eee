import { type LinkedAbort, linkedAbort, NO_LONGER_NEEDED } from '../core/abort.ts';
import type { Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';

/** Nobody is given up on before this many times what the slowest piece of work took. */
const FACTOR = 3;
const CHECK_MS = 50;

/** One provider's part of the work. */
export interface Turn {
  /** Fires when it is given up on. */
  readonly signal: AbortSignal;
  /** A piece of its work was done, which took so long. */
  progressed(ms: number): void;
  end(): void;
}

interface Running {
  readonly stop: LinkedAbort;
  sinceMs: number;
}

/**
 * For work that every provider gets a part of and that may be left undone at some: gives up on those that stand still
 * while others get on. While nobody does, it is not the provider, and everybody is waited for.
 */
export class Laggards {
  readonly #clock: Clock;
  readonly #floorMs: number;
  readonly #running = new Set<Running>();
  readonly #over = new AbortController();
  #watching = false;
  #slowestMs: number | undefined;

  /** @param floorMs nor before so long has passed. */
  constructor(clock: Clock, floorMs: number) {
    this.#clock = clock;
    this.#floorMs = floorMs;
  }

  begin(outer: AbortSignal | undefined, operation: string): Turn {
    const running = { stop: linkedAbort(outer, operation), sinceMs: this.#clock.monotonic() };
    this.#running.add(running);
    if (!this.#watching) void this.#watch();
    return {
      signal: running.stop.signal,
      progressed: (ms) => {
        running.sinceMs = this.#clock.monotonic();
        this.#slowestMs = Math.max(this.#slowestMs ?? 0, ms);
      },
      end: () => {
        this.#running.delete(running);
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
      if (this.#slowestMs === undefined) continue;
      const overdue = this.#clock.monotonic() - Math.max(this.#floorMs, FACTOR * this.#slowestMs);
      for (const { stop, sinceMs } of this.#running) if (sinceMs < overdue) stop.abort(standsStill());
    }
  }
}

const standsStill = (): HoldfastError =>
  new HoldfastError('Aborted', 'it stands still while others get on', { code: 'lost_race' });
