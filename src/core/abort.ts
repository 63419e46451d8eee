import { HoldfastError, isHoldfastError } from './errors.ts';

/** Last parameter of everything that may take a while. */
export interface AbortOptions {
  readonly signal?: AbortSignal | undefined;
}

/** @throws HoldfastError `Aborted` (or the typed error a deadline aborted with) when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined, operation?: string): void {
  if (signal?.aborted) throw abortError(signal, operation);
}

/** The typed error for a signal that has fired. A deadline's own `Timeout` is passed through. */
export function abortError(signal: AbortSignal, operation?: string): HoldfastError {
  const reason: unknown = signal.reason;
  if (isHoldfastError(reason)) return reason;
  return new HoldfastError('Aborted', operation ? `${operation} was aborted` : 'the operation was aborted', {
    cause: reason,
    ...(operation === undefined ? {} : { operation }),
  });
}

/** Settles with `promise`, or rejects as soon as the signal fires; the abandoned promise is never unhandled. */
export async function abortable<T>(promise: Promise<T>, signal?: AbortSignal, operation?: string): Promise<T> {
  if (signal === undefined) return promise;
  promise.catch(() => {});
  throwIfAborted(signal, operation);
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(abortError(signal, operation));
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * Runs `work` under a deadline: its signal fires with a `Timeout` after `ms` milliseconds, or with the
 * outer signal. Rejects at the deadline even if `work` ignores its signal.
 */
export async function withDeadline<T>(
  ms: number,
  operation: string,
  work: (signal: AbortSignal) => Promise<T>,
  outer?: AbortSignal,
): Promise<T> {
  throwIfAborted(outer, operation);
  const controller = new AbortController();
  const onOuter = (): void => controller.abort(outer?.reason);
  outer?.addEventListener('abort', onOuter, { once: true });
  const timer = setTimeout(() => {
    controller.abort(
      new HoldfastError('Timeout', `${operation} took longer than ${ms} ms`, { operation, context: { ms } }),
    );
  }, ms);
  try {
    return await abortable(work(controller.signal), controller.signal, operation);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener('abort', onOuter);
  }
}
