import { close, open as openFile, readv } from 'node:fs';
import { type FileHandle, opendir } from 'node:fs/promises';
import { throwIfAborted } from '../../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../../core/address.ts';
import { sliceParts } from '../../core/bytes.ts';
import { openRegular, READ_NO_LINK } from '../../core/files.ts';
import { rangeBeyondEnd } from '../guard.ts';
import { byHead, isHead } from '../listing.ts';
import { overFetchLimit } from '../pieces.ts';
import { errnoOf } from './errors.ts';

const STREAM_PIECE_BYTES = 256 * 1024;
const READ_STEP_BYTES = 32 * 1024 * 1024;
const MAX_VECTORS = 1024;

/** A link or a pipe planted in the folder is neither followed nor waited for. */
const openBlob = (path: string): Promise<FileHandle> => openRegular(path, 'refused');

export async function readWhole(
  path: string,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const file = await openBlob(path);
  try {
    const { size } = await file.stat();
    if (size > maxBytes) throw overFetchLimit(maxBytes);
    const out = new Uint8Array(size);
    if (size > 0) await readExactly(file, 0, [out], size, signal);
    return out;
  } finally {
    await file.close();
  }
}

export async function readRange(
  path: string,
  offset: number,
  into: readonly Uint8Array[],
  length: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  throwIfAborted(signal, 'fetch');
  if (length <= READ_STEP_BYTES && into.length <= MAX_VECTORS) {
    if ((await readOnce(path, offset, into)) === length) return;
  }
  const file = await openBlob(path);
  try {
    await readExactly(file, offset, into, length, signal);
  } finally {
    await file.close();
  }
}

/** Open, read, close without file handles, which cost as much again. What comes short is read the long way. */
function readOnce(path: string, offset: number, into: readonly Uint8Array[]): Promise<number> {
  return new Promise((resolve, reject) => {
    openFile(path, READ_NO_LINK, (failed, fd) => {
      if (failed) return reject(failed);
      readv(fd, into, offset, (error, bytesRead) => {
        // Nothing was written, so nothing can be lost by a close that fails.
        close(fd, () => {});
        if (error) reject(error);
        else resolve(bytesRead);
      });
    });
  });
}

export async function* readPieces(
  path: string,
  offset: number,
  length: number | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await openBlob(path);
  try {
    const end = length === undefined ? (await file.stat()).size : offset + length;
    for (let at = offset; at < end; at += STREAM_PIECE_BYTES) {
      const piece = new Uint8Array(Math.min(STREAM_PIECE_BYTES, end - at));
      await readExactly(file, at, [piece], piece.length, signal);
      yield piece;
    }
  } finally {
    await file.close();
  }
}

/** Scatter read straight into the caller's buffers; never given up in mid-call, so they are at rest afterwards. */
async function readExactly(
  file: FileHandle,
  offset: number,
  into: readonly Uint8Array[],
  length: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  let at = 0;
  while (at < length) {
    throwIfAborted(signal, 'fetch');
    const left = sliceParts(into, at, Math.min(length - at, READ_STEP_BYTES));
    const { bytesRead } = await file.readv(left, offset + at);
    if (bytesRead === 0) throw rangeBeyondEnd(offset, length, offset + at);
    at += bytesRead;
  }
}

/** Only regular files whose path spells an address; whatever else lies there is not ours to judge. */
export async function* listBlobs(
  blobs: string,
  prefixHex: string,
  after: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<BlobAddress, void, undefined> {
  const heads: string[] = [];
  for await (const { name, isFolder } of entriesOf(blobs)) if (isFolder && isHead(name)) heads.push(name);
  const inside = async function* (head: string): AsyncGenerator<BlobAddress, void, undefined> {
    for await (const { name, isFile } of entriesOf(`${blobs}/${head}`)) {
      throwIfAborted(signal, 'list');
      const address = `b3:${head}${name}`;
      if (isFile && isBlobAddress(address) && address.startsWith(prefixHex, 3)) yield address;
    }
  };
  yield* byHead(heads, prefixHex, after, inside, String);
}

/** Nothing where the folder has gone, or something else took its place. */
async function* entriesOf(
  path: string,
): AsyncGenerator<{ name: string; isFile: boolean; isFolder: boolean }, void, undefined> {
  const folder = await opendir(path).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR') throw error;
    return [];
  });
  for await (const entry of folder) {
    yield { name: entry.name, isFile: entry.isFile(), isFolder: entry.isDirectory() };
  }
}
