import { type ErrorKind, HoldfastError } from '../../core/errors.ts';

const KINDS: Readonly<Record<string, ErrorKind>> = {
  ENOSPC: 'QuotaExceeded',
  EDQUOT: 'QuotaExceeded',
  EFBIG: 'QuotaExceeded',
  EACCES: 'PermissionDenied',
  EPERM: 'PermissionDenied',
  EROFS: 'PermissionDenied',
  ENOENT: 'Unavailable',
  EIO: 'Unavailable',
  ENODEV: 'Unavailable',
  ENXIO: 'Corrupt',
  ESTALE: 'Unavailable',
  EBUSY: 'Unavailable',
  EAGAIN: 'Unavailable',
  EMFILE: 'Unavailable',
  ENFILE: 'Unavailable',
  ENOTCONN: 'Unavailable',
  ETIMEDOUT: 'Unavailable',
  EISDIR: 'Corrupt',
  EFTYPE: 'Corrupt',
  ESPIPE: 'Corrupt',
  ENOTDIR: 'Corrupt',
  ELOOP: 'Corrupt',
};

const HINTS: Partial<Record<ErrorKind, string>> = {
  QuotaExceeded: 'Free space on the disk, raise the quota, or move blobs to another provider.',
  Corrupt: 'Look at the provider folder: something there is not what Holdfast put there.',
  PermissionDenied: 'Give this user read and write access to the provider folder.',
};

const MISSING_FOLDER = 'A folder inside the provider is gone; set the provider up again to restore it.';

export const errnoOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

/** The typed error of a failed system call; what is not one passes. Paths stay out of messages: they go to logs. */
export function fsError(error: unknown, kinds: Readonly<Record<string, ErrorKind>> = {}): unknown {
  const errno = errnoOf(error);
  const kind = errno === undefined ? undefined : (kinds[errno] ?? KINDS[errno]);
  if (kind === undefined || error instanceof HoldfastError) return error;
  const hint = errno === 'ENOENT' ? MISSING_FOLDER : HINTS[kind];
  return new HoldfastError(kind, `the file system answered ${errno}`, {
    cause: error,
    context: { errno },
    ...(hint === undefined ? {} : { hint }),
  });
}
