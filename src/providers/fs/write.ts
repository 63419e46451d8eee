import { type FileHandle, lstat, mkdir, open, opendir, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { throwIfAborted } from '../../core/abort.ts';
import { byteLength, sliceParts, toHex } from '../../core/bytes.ts';
import { checkRealFolder } from '../../core/files.ts';
import type { RandomBytes } from '../../core/random.ts';
import { isTempName } from '../leftovers.ts';
import { errnoOf } from './errors.ts';
import { type Layout, syncFolder } from './layout.ts';

/** So that an abort is noticed between system calls. */
const WRITE_STEP_BYTES = 32 * 1024 * 1024;

/** A file that is not visible yet. */
export interface TempFile {
  readonly path: string;
  readonly file: FileHandle;
}

export async function createTemp(layout: Layout, random: RandomBytes): Promise<TempFile> {
  const path = join(layout.tmp, toHex(random(16)));
  return { path, file: await open(path, 'wx', 0o644) };
}

/** Writes all parts, in order, straight from where they lie. */
export async function writeParts(
  file: FileHandle,
  parts: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const total = byteLength(parts);
  let at = 0;
  while (at < total) {
    throwIfAborted(signal, 'store');
    const left = sliceParts(parts, at, Math.min(total - at, WRITE_STEP_BYTES));
    at += (await file.writev(left)).bytesWritten;
  }
}

/** Gives a finished temp file its name, durably: once this resolves, a power cut leaves the whole file. */
export async function publish(temp: TempFile, path: string, sync: FolderSync): Promise<void> {
  await temp.file.datasync();
  await temp.file.close();
  try {
    await checkRealFolder(dirname(path));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    await makeFolder(dirname(path), sync);
  }
  await rename(temp.path, path);
  await sync(dirname(path));
}

/** One level only: a missing parent means a missing provider and stays an error. */
export async function makeFolder(path: string, sync: FolderSync): Promise<void> {
  await mkdir(path).catch((error: unknown) => {
    if (errnoOf(error) !== 'EEXIST') throw error;
    return checkRealFolder(path);
  });
  await sync(dirname(path));
}

export async function discard(temp: TempFile): Promise<void> {
  await temp.file.close().catch(() => {});
  await unlink(temp.path).catch(() => {});
}

/** Removes what crashed writers left, once it is too old to belong to a running one. */
export async function sweepTemp(layout: Layout, olderThanUnixMs: number): Promise<void> {
  await checkRealFolder(layout.tmp);
  for await (const entry of await opendir(layout.tmp)) {
    if (!entry.isFile() || !isTempName(entry.name)) continue;
    const path = join(layout.tmp, entry.name);
    const found = await lstat(path).catch(() => undefined);
    if (found !== undefined && found.mtimeMs < olderThanUnixMs) await unlink(path).catch(() => {});
  }
}

export type FolderSync = (path: string) => Promise<void>;

/**
 * Group commit: all who ask while one sync of a folder runs share the next one. A sync that had begun before the
 * caller's rename does not cover it, so nobody joins a running one.
 */
export function createFolderSync(): FolderSync {
  const running = new Map<string, Promise<void>>();
  const queued = new Map<string, Promise<void>>();

  const start = (path: string): Promise<void> => {
    const sync = syncFolder(path);
    running.set(path, sync);
    const ended = (): void => {
      if (running.get(path) === sync) running.delete(path);
    };
    sync.then(ended, ended);
    return sync;
  };

  return (path) => {
    const current = running.get(path);
    if (current === undefined) return start(path);
    const waiting = queued.get(path);
    if (waiting !== undefined) return waiting;
    const begin = (): Promise<void> => {
      queued.delete(path);
      return start(path);
    };
    const next = current.then(begin, begin);
    queued.set(path, next);
    return next;
  };
}
