/**
 * How many calls at once serve a provider best: climbs while more in flight moves more bytes a second, steps
 * back when it does not, and gives way at once when the provider signals that it is overloaded. It begins by doubling,
 * for on a way on which every answer takes long, each call that waits here waits for whole round trips.
 */
export interface GoodputState {
  readonly limit: number;
  /** Goodput of the window before, in work units a second. */
  readonly lastRate: number;
  readonly direction: 1 | -1;
  /** It still doubles; so many windows in a row, at this limit, did not show that the last doubling paid. */
  readonly doubts?: number | undefined;
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
/** What twice as many at once must bring. */
const WORTH_DOUBLING = 1.5;
/** One window may be slow for other reasons. */
const MOST_DOUBTS = 2;
const BACK_OFF = 0.7;

export const firstGoodput = (limit: number): GoodputState => ({
  ...{ limit, lastRate: 0, direction: 1, doubts: 0 },
});

export function nextGoodput(state: GoodputState, window: GoodputWindow, max: number): GoodputState {
  if (window.overloaded > 0 && window.overloaded * 10 >= window.completed) {
    return { limit: Math.max(1, Math.floor(state.limit * BACK_OFF)), lastRate: 0, direction: 1 };
  }
  if (!window.saturated) return state;
  const rate = (window.bytes + window.completed * BYTES_PER_CALL) / Math.max(window.elapsedMs, 0.001);
  if (state.doubts !== undefined) {
    if (rate >= state.lastRate * WORTH_DOUBLING)
      return { limit: Math.min(max, 2 * state.limit), lastRate: rate, direction: 1, doubts: 0 };
    if (state.doubts + 1 < MOST_DOUBTS) return { ...state, doubts: state.doubts + 1 };
  }
  const gained = rate > state.lastRate * (1 + NOTICEABLE);
  const lost = rate < state.lastRate * (1 - NOTICEABLE);
  // Climbing must pay; going down must only not hurt, because fewer calls in flight are better for latency.
  const turn = state.direction === 1 ? !gained : lost;
  const direction = turn ? (-state.direction as 1 | -1) : state.direction;
  return { limit: Math.min(max, Math.max(1, state.limit + direction)), lastRate: rate, direction };
}
