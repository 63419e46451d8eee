import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { EXIT, type ExitCode, exitCodeOf, worstOf } from '../../src/cli/exit-codes.ts';
import { ERROR_KINDS, type ErrorKind, HoldfastError } from '../../src/core/errors.ts';

/** What scripts rely on. A line here never changes. */
const BY_KIND = {
  NotFound: 3,
  HashMismatch: 5,
  UnsupportedScheme: 2,
  RangeNotSatisfiable: 2,
  QuotaExceeded: 4,
  PermissionDenied: 5,
  RateLimited: 4,
  Unavailable: 4,
  Timeout: 4,
  Conflict: 6,
  Corrupt: 5,
  ConfigInvalid: 2,
  Aborted: 7,
  Unexpected: 1,
};
const BY_CODE = {
  certificate_shortfall: 6,
  key_file_missing: 3,
  already_initialised: 6,
  access_denied: 1,
  wrong_passphrase: 5,
};

it('every kind of failure has the exit code it always had', () => {
  const codes = ERROR_KINDS.map((kind) => [kind, exitCodeOf(new HoldfastError(kind, 'x'))]);
  expect(Object.fromEntries(codes)).toEqual(BY_KIND);
  expect(exitCodeOf(new TypeError('a bug'))).toBe(1);
  expect(exitCodeOf('not even an error')).toBe(1);
});

it('a code that says more than its kind decides', () => {
  const kindOf: Record<string, ErrorKind> = {
    key_file_missing: 'NotFound',
  };
  const codes = (Object.keys(BY_CODE) as (keyof typeof BY_CODE)[]).map((code) => {
    const error = new HoldfastError(kindOf[code] ?? 'PermissionDenied', 'x', { code });
    return [code, exitCodeOf(error)];
  });
  expect(Object.fromEntries(codes)).toEqual(BY_CODE);
});

it('the README lists every exit code', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const listed = [...readme.matchAll(/^\| (\d+) \| \S/gm)].map(([, code]) => Number(code));
  expect(listed).toEqual(Object.values(EXIT));
});

it('the README says which of several exit codes is the worst', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const listed = /exits as the worst did: ((?:\d, )+\d)/
    .exec(readme)![1]!
    .split(', ')
    .map(Number) as ExitCode[];
  expect([...listed].sort()).toEqual(Object.values(EXIT));
  listed.forEach((code, place) => {
    expect(worstOf(listed.slice(place).reverse())).toBe(code);
  });
  expect(worstOf([])).toBe(EXIT.done);
});
