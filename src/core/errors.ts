import { shortText } from './remote-text.ts';

/** Every failure Holdfast reports on purpose is a {@link HoldfastError}. Kinds and codes are stable; messages are not. */

export const ERROR_KINDS = [
  'NotFound',
  'HashMismatch',
  'UnsupportedScheme',
  'RangeNotSatisfiable',
  'QuotaExceeded',
  'PermissionDenied',
  'RateLimited',
  'Unavailable',
  'Timeout',
  'Conflict',
  'Corrupt',
  'ConfigInvalid',
  'Aborted',
  'Unexpected',
] as const;

export type ErrorKind = (typeof ERROR_KINDS)[number];

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
  readonly code?: string;
  /** What to do next, one sentence for a person. */
  readonly hint?: string;
  /** Plain data for logs and `--json`; never secrets. */
  readonly context?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

const TEMPORARY: ReadonlySet<ErrorKind> = new Set(['RateLimited', 'Unavailable', 'Timeout']);

export class HoldfastError extends Error {
  override readonly name: string = 'HoldfastError';
  readonly kind: ErrorKind;
  readonly status: ErrorStatus;
  readonly code: string;
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
