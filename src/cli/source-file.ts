import { type FileHandle, open } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { errnoText } from '../core/errno.ts';
import { HoldfastError } from '../core/errors.ts';

/**
 * Opens a file to be put. Close it.
 * @throws HoldfastError `NotFound` (`source_unreadable`) for what is not there or a folder; `PermissionDenied`
 * (`access_denied`).
 */
export async function openSource(file: string): Promise<FileHandle> {
  const handle = await open(file, 'r').catch((cause: NodeJS.ErrnoException) => {
    const absent = cause.code === 'ENOENT' || cause.code === 'ENOTDIR';
    throw new HoldfastError(
      absent ? 'NotFound' : 'PermissionDenied',
      `cannot read ${file}: ${cause.code === 'ENOENT' ? 'there is no such file' : errnoText(cause)}`,
      { code: absent ? 'source_unreadable' : 'access_denied', cause },
    );
  });
  if (!(await handle.stat()).isDirectory()) return handle;
  await handle.close();
  throw new HoldfastError('NotFound', `cannot read ${file}: it is a folder`, {
    code: 'source_unreadable',
    hint: `Put its files, '${file}/**', or one archive: tar c ${file} | holdfast put - --name ${basename(resolve(file))}.tar`,
  });
}
