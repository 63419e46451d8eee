import { NO_LONGER_NEEDED } from '../core/abort.ts';
import type { Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';

/**
 * Limits how long a peer may keep us waiting, over all waits of one message: a grace, and more for every byte that came
 * or went. A slow-loris attack works because being slow is cheap; here it costs bytes.
 */
export interface TransferAllowance {
  /** Waits for `work`. @throws HoldfastError `Timeout` when the allowance is used up. */
  wait<T>(work: Promise<T>): Promise<T>;
  moved(bytes: number): void;
}

export interface AllowanceLimits {
  readonly graceMs: number;
  readonly minBytesPerSecond: number;
}

export function createTransferAllowance(
  clock: Clock,
  { graceMs, minBytesPerSecond }: AllowanceLimits,
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
 * Notices peers that take too long over one message. One timer serves all: messages are too many and too short for one
 * each. It looks once a second, so a peer may get a second more.
 */
export interface SlowWatch {
  /**
   * Calls `late`, once, when the moment that `deadlineMs` gives (monotonic) has passed.
   * @returns what ends the watch. Idempotent.
   */
  watch(deadlineMs: () => number, late: () => void): () => void;
  /** Ends the timer. */
  stop(): void;
}

const LOOK_MS = 1_000;

interface Watched {
  deadlineMs(): number;
  late(): void;
}

/** @param onFault is told of a `late` that failed. */
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
