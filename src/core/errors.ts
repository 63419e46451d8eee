import type { ErrorCodeTable } from './error-codes.ts';
import { shortText } from './remote-text.ts';

/** What kinds of failure there are. Kinds and codes are stable; messages are not. */
export const ERROR_KINDS = [
  /** What was asked for is not there. Do: check the name, the address or the path. */
  'NotFound',
  /** Bytes do not have the hash that they must have. Do: do not use them; another copy may be right. */
  'HashMismatch',
  /** An address is of a scheme that the provider does not take. Do: see its `acceptedSchemes`. */
  'UnsupportedScheme',
  /** A range or a length goes beyond what is there or allowed. Do: ask for less. */
  'RangeNotSatisfiable',
  /** There is no room: on a disk, at a provider, or in the memory that is allowed. Do: free some, or allow more. */
  'QuotaExceeded',
  /** It is not allowed: by a provider, the file system, a key or the policy. Do: see the code and the hint. */
  'PermissionDenied',
  /** The other side wants fewer calls. Do: try again later, or do less at once. */
  'RateLimited',
  /** Something that is needed does not answer, or not well. Do: try again; see `holdfast providers`. */
  'Unavailable',
  /** It took longer than it may. Do: try again; look at the network. */
  'Timeout',
  /** Somebody else changed the same thing. Do: read it again and decide anew. */
  'Conflict',
  /** Bytes are damaged or forged. Do: do not use them; see `verifyObject`. */
  'Corrupt',
  /** An option, a flag or the configuration is wrong. Do: correct what the message names. */
  'ConfigInvalid',
  /** The signal of the call fired, or what it belongs to was closed. Do: nothing. */
  'Aborted',
  /** A bug, here or in a caller. Do: report it with the cause. */
  'Unexpected',
] as const;

/** What kind of failure it is: enough to decide what to do next. */
export type ErrorKind = (typeof ERROR_KINDS)[number];

/** What {@link HoldfastError.code} can be: a kind, or something finer. */
export type ErrorCode = ErrorKind | keyof ErrorCodeTable;

/**
 * `permanent`: the same call will fail again. `temporary`: it may succeed soon, retry it.
 * `persistent`: it was temporary, and retrying has been tried and given up.
 */
export type ErrorStatus = 'permanent' | 'temporary' | 'persistent';

export interface ErrorDetail {
  readonly operation?: string;
  /** Id of the provider the failure belongs to. */
  readonly provider?: string;
  readonly status?: ErrorStatus;
  /** Finer than the kind and as stable, e.g. `engine_locked`. Defaults to the kind. */
  readonly code?: ErrorCode;
  /** What to do next, one sentence for a person. */
  readonly hint?: string;
  /** Plain data for logs and `--json`; never secrets. */
  readonly context?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

const TEMPORARY: ReadonlySet<ErrorKind> = new Set(['RateLimited', 'Unavailable', 'Timeout']);

/** Every failure that Holdfast reports on purpose. */
export class HoldfastError extends Error {
  override readonly name: string = 'HoldfastError';
  readonly kind: ErrorKind;
  readonly status: ErrorStatus;
  readonly code: ErrorCode;
  readonly operation: string | undefined;
  readonly provider: string | undefined;
  readonly hint: string | undefined;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(kind: ErrorKind, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.kind = kind;
    this.status = detail.status ?? (TEMPORARY.has(kind) ? 'temporary' : 'permanent');
    this.code = detail.code ?? kind;
    this.operation = detail.operation;
    this.provider = detail.provider;
    this.hint = detail.hint;
    this.context = detail.context ?? {};
  }

  /** The same failure with more known about it, e.g. the provider a layer above can name. */
  with(detail: ErrorDetail): HoldfastError {
    const merged: ErrorDetail = {
      status: detail.status ?? this.status,
      code: detail.code ?? this.code,
      context: { ...this.context, ...detail.context },
      cause: detail.cause ?? this.cause,
      ...pick('operation', detail.operation ?? this.operation),
      ...pick('provider', detail.provider ?? this.provider),
      ...pick('hint', detail.hint ?? this.hint),
    };
    return new HoldfastError(this.kind, this.message, merged);
  }

  toJSON(): Record<string, unknown> {
    return {
      error: this.kind,
      code: this.code,
      status: this.status,
      message: this.message,
      ...pick('operation', this.operation),
      ...pick('provider', this.provider),
      ...pick('hint', this.hint),
      ...(Object.keys(this.context).length > 0 ? { context: this.context } : {}),
    };
  }
}

function pick<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: string };
}

/** Whether something thrown is a {@link HoldfastError}, of that kind if one is named. */
export function isHoldfastError(error: unknown, kind?: ErrorKind): error is HoldfastError {
  return error instanceof HoldfastError && (kind === undefined || error.kind === kind);
}

/** Wraps anything thrown into a {@link HoldfastError}; one that already is passes unchanged. */
export function asHoldfastError(error: unknown, detail: ErrorDetail = {}): HoldfastError {
  if (error instanceof HoldfastError) return error;
  if (isAbort(error))
    return new HoldfastError('Aborted', 'the operation was aborted', { ...detail, cause: error });
  const message = shortText(error instanceof Error ? error.message : String(error));
  return new HoldfastError('Unexpected', message, { ...detail, cause: error });
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}
