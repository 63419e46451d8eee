import type { ErrorCode, ErrorKind, HoldfastError } from '../core/errors.ts';
import { asHoldfastError } from '../core/errors.ts';

/** The word for `error` in an error body. Stable; kinds of the library keep their names. */
type ProblemName =
  | ErrorKind
  | 'BadRequest'
  | 'Unauthorized'
  | 'Forbidden'
  | 'MethodNotAllowed'
  | 'PreconditionFailed'
  | 'PreconditionRequired'
  | 'PayloadTooLarge'
  | 'UnsupportedMediaType'
  | 'MisdirectedRequest'
  | 'VersionNotSupported';

interface ProblemDetail {
  readonly headers?: Readonly<Record<string, string>>;
  /** The connection cannot be trusted or used any more. */
  readonly close?: boolean;
  /** The request was turned away unserved. The metrics count that; the log would be full of it. */
  readonly shed?: boolean;
  /** Why a read was denied. */
  readonly denied?: string;
  readonly cause?: unknown;
}

/** An answer that is not success. Whoever finds it out throws it. */
export class HttpProblem extends Error {
  readonly status: number;
  readonly problem: ProblemName;
  readonly headers: Readonly<Record<string, string>>;
  readonly close: boolean;
  readonly shed: boolean;
  /** Why a read was denied. */
  readonly denied: string | undefined;

  constructor(status: number, problem: ProblemName, message: string, detail: ProblemDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.status = status;
    this.problem = problem;
    this.headers = detail.headers ?? {};
    this.close = detail.close ?? false;
    this.shed = detail.shed ?? false;
    this.denied = detail.denied;
  }
}

export const badRequest = (message: string): HttpProblem =>
  new HttpProblem(400, 'BadRequest', message, { close: true });

export const tooLarge = (cap: number, what = 'the body'): HttpProblem =>
  new HttpProblem(413, 'PayloadTooLarge', `${what} is longer than the ${cap} bytes that this server takes`, {
    headers: { 'holdfast-max-body': String(cap) },
    close: true,
  });

const STATUS: Readonly<Record<ErrorKind, number>> = {
  NotFound: 404,
  // A read found other bytes than it should. The mismatch of an upload is the client's, see `upload`.
  HashMismatch: 500,
  UnsupportedScheme: 400,
  RangeNotSatisfiable: 416,
  QuotaExceeded: 507,
  PermissionDenied: 500,
  RateLimited: 503,
  Unavailable: 503,
  Timeout: 503,
  Conflict: 412,
  Corrupt: 500,
  ConfigInvalid: 500,
  Aborted: 503,
  Unexpected: 500,
};

const STATUS_BY_CODE: Readonly<Partial<Record<ErrorCode, number>>> = {
  unsupported: 501,
  invalid_argument: 400,
  blob_too_large: 413,
  slot_too_large: 413,
  peer_too_slow: 408,
  bad_name: 400,
  sealed: 403,
  repair_running: 409,
  segment_leased: 409,
  not_a_reader: 403,
};
const CLOSING: ReadonlySet<number> = new Set([408, 413]);

/** Makes the answer to a failure. Causes and paths stay out of it. */
export function problemOf(error: unknown): HttpProblem {
  if (error instanceof HttpProblem) return error;
  const typed = asHoldfastError(error);
  // An adapter wraps what the reader of a body throws.
  if (typed.cause instanceof HttpProblem) return typed.cause;
  const status = STATUS_BY_CODE[typed.code] ?? STATUS[typed.kind];
  const headers: Record<string, string> = status === 503 ? { 'retry-after': '1' } : {};
  const close = CLOSING.has(status);
  return new HttpProblem(status, nameOf(status, typed.kind), messageOf(typed), {
    headers,
    close,
    cause: typed,
  });
}

const nameOf = (status: number, kind: ErrorKind): ProblemName => {
  if (status === 413) return 'PayloadTooLarge';
  return status === 400 && kind === 'Unexpected' ? 'BadRequest' : kind;
};

/** An unexpected error may quote anything, so only the log tells of it. */
function messageOf(error: HoldfastError): string {
  if (error.kind === 'Unexpected' && error.code === 'Unexpected')
    return 'something unexpected went wrong here';
  return error.message;
}
