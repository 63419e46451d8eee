import { abortError, throwIfAborted } from './abort.ts';
import { HoldfastError } from './errors.ts';

/** Time as an argument: product code never reads the machine's clock itself. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonic(): number;
  /** Resolves after `ms`; rejects `Aborted` as soon as the signal fires. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, signal, (timer) => timer),
};

/** Records keep 14 digits of milliseconds: up to the year 5138. */
const LAST_RECORDED_MS = 99_999_999_999_999;

/**
 * The time as records keep it, in whole milliseconds since the Unix epoch. Call it before anything is acknowledged: a
 * record with a time out of range could not be read again.
 * @throws HoldfastError `ConfigInvalid`, code `clock_implausible`, for a time before 1970 or after 5138.
 */
export function recordedTime(clock: Clock): number {
  const now = Math.floor(clock.now()) + 0;
  if (now >= 0 && now <= LAST_RECORDED_MS) return now;
  throw new HoldfastError('ConfigInvalid', "this machine's clock shows a time that no record can hold", {
    code: 'clock_implausible',
    hint: 'Set the clock of this machine (see `date`), then try again. Nothing was changed.',
    context: { now: String(now) },
  });
}

/** Sleeps like the system's clock, and does not keep the process alive for it. */
export const idleSleep: Clock['sleep'] = (ms, signal) => sleep(ms, signal, (timer) => timer.unref());

function sleep(
  ms: number,
  signal: AbortSignal | undefined,
  started: (timer: NodeJS.Timeout) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    throwIfAborted(signal, 'sleep');
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(abortError(signal as AbortSignal, 'sleep'));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
    started(timer);
  });
}
