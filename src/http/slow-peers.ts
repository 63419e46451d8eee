import { NO_LONGER_NEEDED } from '../core/abort.ts';
import type { Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';

/**
 * How long a peer may keep us waiting, all waits of one message together: a grace, and more for every byte that
 * came or went. Cheap to be slow with is what slow-loris lives on; this makes it cost bytes.
 */
export interface TransferAllowance {
  /** Waits for `work`. @throws HoldfastError `Timeout` when the allowance is used up. */
  wait<T>(work: Promise<T>): Promise<T>;
  moved(bytes: number): void;
}

export interface PatienceLimits {
  readonly graceMs: number;
  readonly minBytesPerSecond: number;
}

export function createPatience(
  clock: Clock,
  { graceMs, minBytesPerSecond }: PatienceLimits,
): TransferAllowance {
  let waitedMs = 0;
  let bytes = 0;
  return {
    moved(count) {
      bytes += count;
    },
    async wait(work) {
      const start = clock.monotonic();
      const leftMs = graceMs + (1000 * bytes) / minBytesPerSecond - waitedMs;
      const stop = new AbortController();
      const tooLong = clock.sleep(Math.max(0, leftMs), stop.signal).then(() => {
        throw tooSlow();
      });
      tooLong.catch(() => {});
      try {
        return await Promise.race([work, tooLong]);
      } finally {
        stop.abort(NO_LONGER_NEEDED);
        waitedMs += clock.monotonic() - start;
      }
    },
  };
}

export const tooSlow = (): HoldfastError =>
  new HoldfastError('Timeout', 'the other side is too slow', { code: 'peer_too_slow' });

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
