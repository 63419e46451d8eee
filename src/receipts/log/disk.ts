import type { Stats } from 'node:fs';
import { constants, type FileHandle, link, lstat, open, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { toHex } from '../../core/bytes.ts';
import { errnoText, isFull } from '../../core/errno.ts';
import { HoldfastError } from '../../core/errors.ts';
import { makeFolders, openRegular } from '../../core/files.ts';
import { secureRandom } from '../../core/random.ts';
import type { AppendFile, ReceiptFiles, Room } from './files.ts';

/** The files of this machine. Failures are `PermissionDenied` (`access_denied`) or `QuotaExceeded` (`disk_full`). */
export const diskFiles: ReceiptFiles = {
  list: (folder) => told(folder, () => list(folder)),
  read: (path, maxBytes, room) => told(path, () => read(path, maxBytes, room)),
  open: (path) => told(path, () => openFile(path)),
  place: (path, bytes) => told(path, () => place(path, bytes)),
};

export async function told<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const [kind, code] = isFull(cause)
      ? (['QuotaExceeded', 'disk_full'] as const)
      : (['PermissionDenied', 'access_denied'] as const);
    throw new HoldfastError(kind, `${path}: ${errnoText(cause)}`, { code, cause });
  }
}

async function list(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function read(path: string, maxBytes: number, room?: Room): Promise<Uint8Array | undefined> {
  let file: FileHandle;
  try {
    file = await openRegular(path, 'refused');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    return await readWhole(file, maxBytes, room);
  } finally {
    await file.close();
  }
}

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDWR } = constants;
const APPEND = O_APPEND | O_CREAT | O_RDWR | (O_NOFOLLOW ?? 0);

async function openFile(path: string): Promise<AppendFile> {
  await makeDurable(dirname(path));
  // What is no file of records, or stands for another, is not written to.
  const file = await open(path, APPEND, 0o600);
  try {
    const found = await file.stat();
    if (!found.isFile()) throw Object.assign(new Error('it is no file'), { code: 'EINVAL' });
    await flushFolder(dirname(path));
    // Where a file system gives a file another number when it is asked by its name, numbers say nothing.
    const isTold = isSame(found, await lstat(path));
    return appendTo(path, file, isTold ? found : undefined);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function place(path: string, bytes: Uint8Array): Promise<boolean> {
  const folder = dirname(path);
  await makeDurable(folder);
  let placed = true;
  const draft = join(folder, `.${basename(path)}.${toHex(secureRandom(8))}`);
  try {
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    // Unlike a rename, it takes nobody's place.
    await link(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    placed = false;
  } finally {
    await rm(draft, { force: true });
  }
  // Also what another has placed and may not have flushed.
  await flushFolder(folder);
  return placed;
}

/** In one piece, however large: records are views of it. */
async function readWhole(
  file: FileHandle,
  maxBytes: number,
  room: Room = (bytes) => new Uint8Array(bytes),
): Promise<Uint8Array> {
  const { size } = await file.stat();
  if (size > maxBytes)
    throw Object.assign(new Error(`it has more than ${maxBytes} bytes`), { code: 'EFBIG' });
  const bytes = room(size);
  let at = 0;
  while (at < size) {
    const { bytesRead } = await file.read(bytes, at, size - at, at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes.subarray(0, at);
}

const isMissing = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

type Identity = Pick<Stats, 'dev' | 'ino'>;
const isSame = (a: Identity, b: Identity): boolean => a.dev === b.dev && a.ino === b.ino;

const appendTo = (path: string, file: FileHandle, own: Identity | undefined): AppendFile => ({
  size: () => told(path, async () => (await file.stat()).size),
  append: (bytes) => told(path, () => file.writeFile(bytes)),
  flush: () => told(path, () => file.datasync()),
  truncate: (size) => told(path, () => file.truncate(size)),
  isNamed: () =>
    lstat(path).then(
      (named) => own === undefined || isSame(named, own),
      () => false,
    ),
  close: () => told(path, () => file.close()),
});

/** The two folders that an epoch may be the first to need, and the one that they are in. */
async function makeDurable(folder: string): Promise<void> {
  await makeFolders(folder, 0o700);
  const above = dirname(folder);
  await flushFolder(above);
  await flushFolder(dirname(above));
}

export async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
