import type { AbortOptions } from '../core/abort.ts';
import { utf8Encode } from '../core/bytes.ts';
import { type ErrorKind, HoldfastError, isHoldfastError } from '../core/errors.ts';
import { printableLine, remoteText } from '../core/remote-text.ts';
import type { Engine, WriteOptions } from '../engine/engine.ts';

/** The latest failure of a provider, told to the operator; nothing is decided by it. */
export interface LastFailure {
  /** In milliseconds since the Unix epoch. */
  readonly at: number;
  readonly operation: 'store' | 'read' | 'probe';
  /** Stable, of the error. */
  readonly code: string;
  /** For a person, one line; empty where an earlier version kept none. */
  readonly message: string;
}

export const lastFailure = (
  at: number,
  operation: LastFailure['operation'],
  { code, message }: HoldfastError,
): LastFailure => ({
  at: Math.max(0, Math.trunc(at)),
  operation,
  code,
  message: printableLine(remoteText(message)),
});

/** E.g. `provider_missing, the folder … is not there`. */
export const describeFailure = ({ code, message }: LastFailure): string =>
  message === '' ? code : `${code}, ${message}`;

/** Key is the provider's id, the value JSON. */
const TABLE = 'provider_last_failure';
const MAX_BYTES = 4096;
const OPERATIONS: readonly unknown[] = ['store', 'read', 'probe'];
const CODE = /^[A-Za-z0-9_]{1,64}$/;

export interface LastFailures {
  /** Undefined also for what cannot be read: it is only told. */
  load(providerId: string, options?: AbortOptions): Promise<LastFailure | undefined>;
  save(providerId: string, failure: LastFailure, options?: WriteOptions): Promise<void>;
}

export function createLastFailures(engine: Engine): LastFailures {
  const table = engine.table(TABLE);
  return {
    async load(providerId, options = {}) {
      const stored = await table.get(providerId, options).catch((error: unknown) => {
        if (!isHoldfastError(error, 'Corrupt')) throw error;
        return undefined;
      });
      return stored === undefined || stored.length > MAX_BYTES ? undefined : decode(stored);
    },
    async save(providerId, { at, operation, code, message }, options = {}) {
      if (!CODE.test(code)) return;
      const text = JSON.stringify({ v: 2, at, operation, code, message });
      await table.put(providerId, utf8Encode(text), options);
    },
  };
}

/** Version 1 kept no message and nothing of probes. */
function decode(stored: Uint8Array): LastFailure | undefined {
  try {
    const { v, at, operation, code, message } = JSON.parse(new TextDecoder().decode(stored)) as Record<
      string,
      unknown
    >;
    const text = v === 1 ? '' : message;
    const whole = (v === 1 || v === 2) && Number.isSafeInteger(at) && (at as number) >= 0;
    if (!whole || !OPERATIONS.includes(operation) || typeof code !== 'string' || typeof text !== 'string')
      return undefined;
    if (!CODE.test(code)) return undefined;
    return {
      at: at as number,
      operation: operation as LastFailure['operation'],
      code,
      message: printableLine(text),
    };
  } catch {
    return undefined;
  }
}

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
