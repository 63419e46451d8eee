import { type ErrorCode, type ErrorKind, HoldfastError } from '../../core/errors.ts';

interface Rule {
  /** Matched against LevelDB's code and message; it passes the system's text on and no errno. */
  readonly pattern: RegExp;
  readonly kind: ErrorKind;
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
}

const RULES: readonly Rule[] = [
  {
    pattern: /LEVEL_LOCKED/,
    kind: 'Unavailable',
    code: 'engine_locked',
    message: 'another process is using the database',
    hint: 'Wait for the other holdfast command to finish, or raise the lock wait.',
  },
  {
    pattern: /No space left on device|quota exceeded|File too large|ENOSPC|EDQUOT|EFBIG/i,
    kind: 'QuotaExceeded',
    code: 'engine_full',
    message: 'no space is left for the database',
    hint: 'Free space on the disk that holds the database folder, then run the command again.',
  },
  {
    pattern: /Permission denied|Operation not permitted|Read-only file system|EACCES|EPERM|EROFS/i,
    kind: 'PermissionDenied',
    code: 'engine_permission',
    message: 'the database folder cannot be read and written',
    hint: 'Give this user read and write access to the database folder.',
  },
  {
    pattern: /EEXIST|ENOTDIR|Not a directory/i,
    kind: 'ConfigInvalid',
    code: 'engine_location',
    message: 'the database location is not a folder',
    hint: 'Name a folder, or a path at which one can be made.',
  },
  {
    // A missing file is damage too: LevelDB makes all of its own.
    pattern: /LEVEL_CORRUPTION|Corruption:|No such file or directory/i,
    kind: 'Corrupt',
    code: 'engine_corrupt',
    message: 'the database is damaged',
    hint: 'Move the database folder aside and rebuild it from the providers with "holdfast recover".',
  },
];

/** The typed error for whatever LevelDB or the file system said. */
export function levelFailure(error: unknown, location: string): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const text = describe(error);
  const rule = RULES.find(({ pattern }) => pattern.test(text));
  if (rule === undefined) {
    return new HoldfastError('Unavailable', 'the database cannot be used', {
      code: 'engine_io',
      hint: 'Look at the disk, then run the command again. If it stays so, move the database folder aside and run "holdfast recover".',
      context: { location },
      cause: error,
    });
  }
  const { kind, code, message, hint } = rule;
  return new HoldfastError(kind, message, { code, hint, context: { location }, cause: error });
}

function describe(error: unknown): string {
  const lines: string[] = [];
  for (let at = error; at instanceof Error && lines.length < 5; at = at.cause) {
    lines.push(`${(at as NodeJS.ErrnoException).code ?? ''} ${at.message}`);
  }
  return lines.join('\n');
}
