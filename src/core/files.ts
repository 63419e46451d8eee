import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from './clock.ts';

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

/** So long may a pipe be silent: who writes into it may be a program that starts, or asks somebody. */
const PIPE_MS = 10_000;
const LOOK_EVERY_MS = 20;

/**
 * The whole of a small file that somebody named, who may name a pipe as well: `<(command)`, say.
 * @throws what `open` throws; an error with code `EFBIG` when there are more bytes, `ETIMEDOUT` for a pipe out of which
 * nothing came for ten seconds.
 */
export async function readNamedFile(
  path: string,
  maxBytes: number,
  clock: Pick<Clock, 'monotonic' | 'sleep'>,
): Promise<string> {
  const file = await open(path, READ);
  try {
    const isPipe = !(await file.stat()).isFile();
    const bytes = await readAtMost(isPipe ? patient(file, clock) : file, maxBytes);
    return bytes.toString('utf8');
  } finally {
    await file.close();
  }
}

/** Reads that wait for what comes: an open that does not wait gets nothing while nobody writes yet. */
function patient(file: FileHandle, clock: Pick<Clock, 'monotonic' | 'sleep'>): Pick<FileHandle, 'read'> {
  let started = false;
  const attempt = async (buffer: Buffer): Promise<number | undefined> => {
    try {
      const { bytesRead } = await file.read(buffer);
      return bytesRead === 0 && !started ? undefined : bytesRead;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      return undefined;
    }
  };
  const read = async (buffer: Buffer): Promise<{ bytesRead: number; buffer: Buffer }> => {
    const endMs = clock.monotonic() + PIPE_MS;
    for (;;) {
      const bytesRead = await attempt(buffer);
      if (bytesRead !== undefined) {
        started = true;
        return { bytesRead, buffer };
      }
      if (clock.monotonic() >= endMs) throw failure('ETIMEDOUT', 'nothing came out of it');
      await clock.sleep(LOOK_EVERY_MS);
    }
  };
  return { read } as Pick<FileHandle, 'read'>;
}

/** What is left of an open file or pipe. @throws an error with code `EFBIG` when that is more. */
export async function readAtMost(file: Pick<FileHandle, 'read'>, maxBytes: number): Promise<Buffer> {
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

/**
 * Makes a folder and those above it, where they are missing. Node's own way never ends where a file system says of a
 * folder that its parent is missing and it is not, as /proc and mounts whose server is away do.
 * @throws what `mkdir` throws.
 */
export async function makeFolders(path: string, mode = 0o777): Promise<void> {
  const make = (): Promise<NodeJS.ErrnoException | undefined> =>
    mkdir(path, { mode }).then(
      () => undefined,
      async (error: NodeJS.ErrnoException) => ((await isFolder(path)) ? undefined : error),
    );
  let error = await make();
  const parent = dirname(path);
  if (error?.code === 'ENOENT' && parent !== path) {
    if (!(await isFolder(parent))) await makeFolders(parent, mode);
    error = await make();
  }
  if (error !== undefined) throw error;
}

const isFolder = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isDirectory() === true;
