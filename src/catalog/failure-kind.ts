import { type ErrorKind, HoldfastError, isHoldfastError } from '../core/errors.ts';

/**
 * What a transfer that did not succeed says of its provider. They are kept apart because they ask for different things:
 *
 * - `slow`: a race was lost, so it gets less to do;
 * - `failing`: it did not do what it was asked, so it gets nothing new for a while;
 * - `lying`: what it had acknowledged is gone or altered, so it is not believed for a while, whatever it answers rightly;
 * - `denied`: it refused this process's credentials, which says nothing of it to others.
 */
export type FailureKind = 'slow' | 'failing' | 'lying' | 'denied';

export const FAILURE_KINDS: readonly FailureKind[] = ['slow', 'failing', 'lying', 'denied'];

/** Code of an error: what it was asked for took longer than one waits for the sake of the certificate. */
export const STALLED = 'stalled';

/** Reads that failed like this: what had been acknowledged is gone, or was altered. */
const LIES: ReadonlySet<ErrorKind> = new Set(['NotFound', 'Corrupt', 'HashMismatch', 'RangeNotSatisfiable']);

/** Undefined when it says nothing: the work was cancelled. */
export function failureKind(operation: 'store' | 'read', error: unknown): FailureKind | undefined {
  if (!(error instanceof HoldfastError)) return 'failing';
  if (error.kind === 'Aborted') return undefined;
  if (error.code === 'lost_race') return 'slow';
  if (error.kind === 'PermissionDenied') return 'denied';
  return operation === 'read' && LIES.has(error.kind) ? 'lying' : 'failing';
}

/** Whether one such failure is enough for the provider to be left alone. */
export const isGrave = (error: unknown): boolean => isHoldfastError(error) && error.code === STALLED;
