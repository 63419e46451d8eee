/**
 * How many calls at once serve a provider best: climbs while more in flight moves more bytes a second, steps
 * back when it does not, and gives way at once when the provider signals that it is overloaded.
 */
export interface GoodputState {
  readonly limit: number;
  /** Goodput of the window before, in work units a second. */
  readonly lastRate: number;
  readonly direction: 1 | -1;
}

/** One window of observation at one limit. */
export interface GoodputWindow {
  readonly elapsedMs: number;
  readonly bytes: number;
  readonly completed: number;
  /** Calls that ended in `RateLimited`, `Timeout` or `Unavailable`. */
  readonly overloaded: number;
  /** Whether the limit was ever reached; if not, the window says nothing about it. */
  readonly saturated: boolean;
}

/** So that calls without bytes count as work too. */
const BYTES_PER_CALL = 16 * 1024;
const NOTICEABLE = 0.03;
const BACK_OFF = 0.7;

export function nextGoodput(state: GoodputState, window: GoodputWindow, max: number): GoodputState {
  if (window.overloaded > 0 && window.overloaded * 10 >= window.completed) {
    return { limit: Math.max(1, Math.floor(state.limit * BACK_OFF)), lastRate: 0, direction: 1 };
  }
  if (!window.saturated) return state;
  const rate = (window.bytes + window.completed * BYTES_PER_CALL) / Math.max(window.elapsedMs, 0.001);
  const gained = rate > state.lastRate * (1 + NOTICEABLE);
  const lost = rate < state.lastRate * (1 - NOTICEABLE);
  // Climbing must pay; going down must only not hurt, because fewer calls in flight are better for latency.
  const turn = state.direction === 1 ? !gained : lost;
  const direction = turn ? (-state.direction as 1 | -1) : state.direction;
  return { limit: Math.min(max, Math.max(1, state.limit + direction)), lastRate: rate, direction };
}
