import type { Clock } from '../core/clock.ts';

/**
 * Notices peers that take too long over one message. One timer for all of them: messages are too many and too short
 * for one each. It looks once a second, so a peer may get that much more.
 */
export interface SlowWatch {
  /**
   * Calls `late`, once, when the moment that `deadlineMs` gives (monotonic) has passed.
   * @returns what ends the watch; calling it again does nothing.
   */
  watch(deadlineMs: () => number, late: () => void): () => void;
  /** Lets go of the timer. */
  stop(): void;
}

const LOOK_MS = 1_000;

interface Watched {
  deadlineMs(): number;
  late(): void;
}

/** @param onFault told of a `late` that failed. */
export function createSlowWatch(clock: Clock, onFault: (error: unknown) => void): SlowWatch {
  const watched = new Set<Watched>();
  const stopped = new AbortController();
  let looking = false;

  const look = async (): Promise<void> => {
    looking = true;
    try {
      while (watched.size > 0) {
        await clock.sleep(LOOK_MS, stopped.signal);
        const now = clock.monotonic();
        for (const one of watched) {
          if (one.deadlineMs() > now) continue;
          watched.delete(one);
          try {
            one.late();
          } catch (error) {
            onFault(error);
          }
        }
      }
    } finally {
      looking = false;
    }
  };

  return {
    watch(deadlineMs, late) {
      const one = { deadlineMs, late };
      watched.add(one);
      if (!looking) look().catch(() => {}); // only `stop` ends it early
      return () => void watched.delete(one);
    },
    stop: () => stopped.abort(),
  };
}
