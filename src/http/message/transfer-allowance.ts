import { NO_LONGER_NEEDED } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';

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
