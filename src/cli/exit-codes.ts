import { type ErrorCode, type ErrorKind, isHoldfastError } from '../core/errors.ts';

/** What the process exits with; documented in the README and never renumbered. */
export const EXIT = {
  done: 0,
  unexpected: 1,
  usage: 2,
  notFound: 3,
  notEnough: 4,
  integrity: 5,
  policy: 6,
  interrupted: 7,
  nameAtRisk: 8,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const BY_KIND: Readonly<Record<ErrorKind, ExitCode>> = {
  NotFound: EXIT.notFound,
  HashMismatch: EXIT.integrity,
  UnsupportedScheme: EXIT.usage,
  RangeNotSatisfiable: EXIT.usage,
  QuotaExceeded: EXIT.notEnough,
  PermissionDenied: EXIT.integrity,
  RateLimited: EXIT.notEnough,
  Unavailable: EXIT.notEnough,
  Timeout: EXIT.notEnough,
  Conflict: EXIT.policy,
  Corrupt: EXIT.integrity,
  ConfigInvalid: EXIT.usage,
  Aborted: EXIT.interrupted,
  Unexpected: EXIT.unexpected,
};

const BY_CODE: Readonly<Partial<Record<ErrorCode, ExitCode>>> = {
  certificate_shortfall: EXIT.policy,
  key_file_missing: EXIT.notFound,
  already_initialised: EXIT.policy,
  access_denied: EXIT.unexpected,
  engine_permission: EXIT.unexpected,
  engine_moved: EXIT.policy,
};

export function exitCodeOf(error: unknown): ExitCode {
  if (!isHoldfastError(error)) return EXIT.unexpected;
  return BY_CODE[error.code] ?? BY_KIND[error.kind];
}

/** From the worst. */
const SEVERITY: readonly ExitCode[] = [
  EXIT.interrupted,
  EXIT.unexpected,
  EXIT.integrity,
  EXIT.policy,
  EXIT.notEnough,
  EXIT.notFound,
  EXIT.usage,
  EXIT.nameAtRisk,
  EXIT.done,
];

/** What a command that did several things exits with. */
export const worstOf = (codes: Iterable<ExitCode>): ExitCode => {
  const all = new Set(codes);
  return SEVERITY.find((code) => all.has(code)) ?? EXIT.done;
};
