/**
 * How many calls at once serve a provider best: climbs while more in flight moves more bytes a second, steps
 * back when it does not, and gives way at once when the provider signals that it is overloaded. It begins by doubling,
 * for on a way on which every answer takes long, each call that waits here waits for whole round trips. While calls take
 * no longer than they ever did, the provider does not notice how many there are: then more at once costs nothing, however
 * much the rate scatters because now and then an answer is late.
 */
export interface GoodputState {
  readonly limit: number;
  /** Goodput of the window before, in work units a second. */
  readonly lastRate: number;
  readonly direction: 1 | -1;
  /** It still doubles; so many windows in a row, at this limit, did not show that the last doubling paid. */
  readonly doubts?: number | undefined;
  /** The least `medianMs` seen, a little more with each window, for ways change. */
  readonly leastMs?: number | undefined;
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
  /** What the middle one of the calls took that succeeded; undefined where there were too few. */
  readonly medianMs?: number | undefined;
}

/** So that calls without bytes count as work too. */
const BYTES_PER_CALL = 16 * 1024;
const NOTICEABLE = 0.03;
/** What twice as many at once must bring. */
const WORTH_DOUBLING = 1.5;
/** One window may be slow for other reasons. */
const MOST_DOUBTS = 2;
const BACK_OFF = 0.7;
/** Calls that take up to so many times the least do not wait for each other. */
const AS_FAST = 1.5;
/** How much the least grows with each window. */
const FORGETTING = 1.01;

export const firstGoodput = (limit: number): GoodputState => ({
  ...{ limit, lastRate: 0, direction: 1, doubts: 0 },
});

export function nextGoodput(state: GoodputState, window: GoodputWindow, max: number): GoodputState {
  if (window.overloaded > 0 && window.overloaded * 10 >= window.completed) {
    const limit = Math.max(1, Math.floor(state.limit * BACK_OFF));
    return { limit, lastRate: 0, direction: 1, leastMs: state.leastMs };
  }
  const { leastMs: before = Number.POSITIVE_INFINITY } = state;
  const { medianMs = Number.POSITIVE_INFINITY } = window;
  const leastMs = Math.min(medianMs, before * FORGETTING);
  if (!window.saturated) return { ...state, leastMs };
  const costsNothing = medianMs <= before * AS_FAST && medianMs < Number.POSITIVE_INFINITY;
  const rate = (window.bytes + window.completed * BYTES_PER_CALL) / Math.max(window.elapsedMs, 0.001);
  if (state.doubts !== undefined) {
    if (costsNothing || rate >= state.lastRate * WORTH_DOUBLING)
      return { limit: Math.min(max, 2 * state.limit), lastRate: rate, direction: 1, doubts: 0, leastMs };
    if (state.doubts + 1 < MOST_DOUBTS) return { ...state, doubts: state.doubts + 1, leastMs };
  }
  const gained = rate > state.lastRate * (1 + NOTICEABLE);
  const lost = rate < state.lastRate * (1 - NOTICEABLE);
  // Climbing must pay; going down must only not hurt, because fewer calls in flight are better for latency.
  const turn = state.direction === 1 ? !gained : lost;
  const direction = costsNothing ? 1 : turn ? (-state.direction as 1 | -1) : state.direction;
  return { limit: Math.min(max, Math.max(1, state.limit + direction)), lastRate: rate, direction, leastMs };
}
