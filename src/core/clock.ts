import { abortable, abortError, manyMayListen, throwIfAborted } from './abort.ts';
import { HoldfastError } from './errors.ts';

/** Time as an argument: product code never reads the machine's clock, nor starts a timer, itself. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonic(): number;
  /** Calls back once, after `ms`. @returns takes it back; of no effect once it has called. */
  timer(ms: number, callback: () => void, options?: TimerOptions): () => void;
  /** Resolves after `ms`; rejects `Aborted` as soon as the signal fires. */
  sleep(ms: number, signal?: AbortSignal, options?: TimerOptions): Promise<void>;
}

export interface TimerOptions {
  /** True: the process does not stay alive for it. Default false. */
  readonly idle?: boolean | undefined;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer(ms, callback, { idle = false } = {}) {
    const timer = setTimeout(callback, ms);
    if (idle) timer.unref();
    return () => clearTimeout(timer);
  },
  sleep: (ms, signal, options) =>
    new Promise((resolve, reject) => {
      throwIfAborted(signal, 'sleep');
      const onAbort = (): void => {
        cancel();
        reject(abortError(signal as AbortSignal, 'sleep'));
      };
      const wake = (): void => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      const cancel = systemClock.timer(ms, wake, options);
      signal?.addEventListener('abort', onAbort, { once: true });
    }),
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

/**
 * Runs `work` under a deadline: its signal fires with a `Timeout` after `ms` milliseconds, or with the
 * outer signal. Rejects at the deadline even if `work` ignores its signal.
 */
export async function withDeadline<T>(
  clock: Clock,
  ms: number,
  operation: string,
  work: (signal: AbortSignal) => Promise<T>,
  outer?: AbortSignal,
): Promise<T> {
  throwIfAborted(outer, operation);
  const controller = new AbortController();
  manyMayListen(controller.signal);
  const onOuter = (): void => controller.abort(outer?.reason);
  outer?.addEventListener('abort', onOuter, { once: true });
  const cancel = clock.timer(ms, () => {
    controller.abort(
      new HoldfastError('Timeout', `${operation} took longer than ${ms} ms`, { operation, context: { ms } }),
    );
  });
  try {
    return await abortable(work(controller.signal), controller.signal, operation);
  } finally {
    cancel();
    outer?.removeEventListener('abort', onOuter);
  }
}

/** A signal that fires after `ms` with a `Timeout`, for work that is worth only so much time. */
export function timeoutSignal(clock: Clock, ms: number): AbortSignal {
  const controller = new AbortController();
  manyMayListen(controller.signal);
  const over = (): void =>
    controller.abort(new HoldfastError('Timeout', `it took longer than ${ms} ms`, { context: { ms } }));
  clock.timer(ms, over, { idle: true });
  return controller.signal;
}
