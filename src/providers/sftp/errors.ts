import { type ErrorKind, HoldfastError } from '../../core/errors.ts';

/** Status codes of SFTP version 3 (draft-ietf-secsh-filexfer-02, 7). */
const EOF = 1;
const NO_SUCH_FILE = 2;
const FAILURE = 4;
const KINDS: Readonly<Record<number, ErrorKind>> = {
  [NO_SUCH_FILE]: 'NotFound',
  3: 'PermissionDenied',
  [FAILURE]: 'Unavailable',
  5: 'Unexpected',
  6: 'Unavailable',
  7: 'Unavailable',
  8: 'PermissionDenied',
};

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined;

export const isEndOfFile = (error: unknown): boolean => codeOf(error) === EOF;

/** The server's catch-all: a name that is taken, a full disk, anything. */
export const isFailure = (error: unknown): boolean =>
  error instanceof HoldfastError && error.context.sftpStatus === FAILURE;

/** The typed error of an SFTP answer, or of the connection below it. */
export function sftpError(error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const code = codeOf(error);
  if (typeof code === 'number') {
    return new HoldfastError(KINDS[code] ?? 'Unavailable', `the SFTP server answered with status ${code}`, {
      ...(code === 8 ? { code: 'unsupported' } : {}),
      context: { sftpStatus: code },
      cause: error,
    });
  }
  return connectionError(error);
}

function connectionError(error: unknown): HoldfastError {
  const level = error instanceof Error && 'level' in error ? error.level : undefined;
  if (level === 'client-authentication') {
    return new HoldfastError('PermissionDenied', 'the SFTP server refused the user, key or password', {
      cause: error,
    });
  }
  const timedOut = level === 'client-timeout' || codeOf(error) === 'ETIMEDOUT';
  const message = timedOut
    ? 'the SFTP server did not answer in time'
    : 'the connection to the SFTP server failed';
  return new HoldfastError(timedOut ? 'Timeout' : 'Unavailable', message, { cause: error });
}

export function hostKeyMismatch(seen: string): HoldfastError {
  return new HoldfastError(
    'ConfigInvalid',
    'the SFTP server showed a host key that is not the configured one',
    {
      code: 'host_key_mismatch',
      hint: 'Find out why; if the server has a new key, put its fingerprint into host_keys of this provider.',
      context: { seen },
    },
  );
}
