import { setMaxListeners } from 'node:events';
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

/**
 * For ending a wait whose outcome nobody looks at. Made once: without a reason every such end would cost an exception
 * and an error with their stacks.
 */
export const NO_LONGER_NEEDED: HoldfastError = new HoldfastError('Aborted', 'nobody waits for this any more');

/** Settles with `promise`, or rejects as soon as the signal fires; the abandoned promise is never unhandled. */
export async function abortable<T>(
  promise: Promise<T>,
  signal?: AbortSignal,
  operation?: string,
): Promise<T> {
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

export interface LinkedAbort {
  readonly signal: AbortSignal;
  /** Stops the operation's own work; the outer signal is not touched. */
  abort(reason: HoldfastError): void;
  /** Lets go of the outer signal. */
  dispose(): void;
}

/** Requests in flight of one operation, each listening to its signal; far over any `limits.max_inflight`. */
const MAX_LISTENERS = 65_536;

/** Lets as many listen to a signal as an operation may have requests in flight; Node warns of more than ten. */
export function manyMayListen(signal: AbortSignal | undefined): void {
  if (signal !== undefined) setMaxListeners(MAX_LISTENERS, signal);
}

/** A signal for one operation: fires with the outer one, or when the operation itself gives up. */
export function linkedAbort(outer: AbortSignal | undefined, operation: string): LinkedAbort {
  const controller = new AbortController();
  manyMayListen(controller.signal);
  const onOuter = (): void => controller.abort(abortError(outer as AbortSignal, operation));
  if (outer?.aborted) onOuter();
  outer?.addEventListener('abort', onOuter, { once: true });
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    dispose: () => outer?.removeEventListener('abort', onOuter),
  };
}

/**
 * Waits for all of them, also after one has failed, and then rejects with the first failure: memory shared with the work
 * may be taken back when this settles.
 */
export async function allOrFirstError<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
