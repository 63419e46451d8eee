import { constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';

/** Opening what others may have put there: never waits for a pipe, never reads a device, never more than was meant. */

const READ = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** Flags for reading a file that lies in a folder others may write: a link is not followed, a pipe not waited for. */
export const READ_NO_LINK: number = READ | (constants.O_NOFOLLOW ?? 0);

/** A system call's failure, told apart by its code like any other. */
function failure(code: string, message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(message), { code });
}

/**
 * Opens a regular file to read it.
 * @param links whether the path may lead over links, as those of an operator's own files may.
 * @throws what `open` throws; an error with code `EFTYPE` for what is no regular file.
 */
export async function openRegular(path: string, links: 'followed' | 'refused'): Promise<FileHandle> {
  const file = await open(path, links === 'followed' ? READ : READ_NO_LINK);
  try {
    if ((await file.stat()).isFile()) return file;
    throw failure('EFTYPE', 'it is no regular file');
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The whole of a small file. @throws as `openRegular` does; an error with code `EFBIG` when it has more bytes. */
export async function readSmallFile(
  path: string,
  maxBytes: number,
  links: 'followed' | 'refused' = 'followed',
): Promise<string> {
  const file = await openRegular(path, links);
  try {
    return (await readAtMost(file, maxBytes)).toString('utf8');
  } finally {
    await file.close();
  }
}

/** What is left of an open file or pipe. @throws an error with code `EFBIG` when that is more. */
export async function readAtMost(file: FileHandle, maxBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let left = maxBytes + 1;
  while (left > 0) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(Math.min(left, 64 * 1024)));
    if (bytesRead === 0) return Buffer.concat(pieces);
    pieces.push(buffer.subarray(0, bytesRead));
    left -= bytesRead;
  }
  throw failure('EFBIG', `it has more than ${maxBytes} bytes`);
}

/** @throws what `lstat` throws; an error with code `ENOTDIR` for a link, even one to a folder. */
export async function checkRealFolder(path: string): Promise<void> {
  if (!(await lstat(path)).isDirectory()) throw failure('ENOTDIR', 'it is no folder');
}
