import type { FileHandle } from 'node:fs/promises';
import { abortable, throwIfAborted } from '../core/abort.ts';
import { HoldfastError } from '../core/errors.ts';
import type { FileVersion } from '../records/unfinished.ts';

/** Where an object's bytes come from; pulled, so that a slow store slows the reader. */
export interface ByteSource {
  /** Fills `into` as far as there is data. Fewer bytes than asked for mean the end. */
  read(into: Uint8Array, signal?: AbortSignal): Promise<number>;
  /** True when a read waits for nobody, as a file's does: it is made straight into the memory where work is done. */
  readonly neverBlocks: boolean;
  /** Total bytes if known, for progress. */
  readonly size: number | undefined;
  /** Lets go of what is left unread. */
  close(): Promise<void>;
}

/**
 * Looks at the beginning of a source.
 * @returns how many bytes there are, up to `length`, and the source as it was, from its first byte.
 */
export async function peekSource(
  source: ByteSource,
  length: number,
  signal?: AbortSignal,
): Promise<{ readonly length: number; readonly source: ByteSource }> {
  const head = new Uint8Array(length);
  const found = await source.read(head, signal);
  return { length: found, source: new PeekedSource(source, head.subarray(0, found), found < length) };
}

class PeekedSource implements ByteSource {
  readonly neverBlocks: boolean;
  readonly size: number | undefined;
  readonly #rest: ByteSource;
  readonly #headIsAll: boolean;
  #head: Uint8Array;

  constructor(rest: ByteSource, head: Uint8Array, headIsAll: boolean) {
    this.neverBlocks = rest.neverBlocks;
    this.size = rest.size;
    this.#rest = rest;
    this.#head = head;
    this.#headIsAll = headIsAll;
  }

  async read(into: Uint8Array, signal?: AbortSignal): Promise<number> {
    const next = this.#head.subarray(0, into.length);
    into.set(next);
    this.#head = next.length === this.#head.length ? NOTHING : this.#head.subarray(next.length);
    if (next.length === into.length || this.#headIsAll) return next.length;
    return next.length + (await this.#rest.read(into.subarray(next.length), signal));
  }

  close(): Promise<void> {
    return this.#rest.close();
  }
}

const NOTHING = new Uint8Array(0);

/**
 * What `putObject` accepts: bytes; a `Blob` or `File`; a web or Node stream, or any other iterable, of bytes; an open
 * file, read from its start; or a source of one's own. A text is refused: it could be a content or a path.
 */
export type ObjectInput =
  | Uint8Array
  | Blob
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>
  | Iterable<Uint8Array>
  | FileHandle
  | ByteSource;

/** @throws HoldfastError `ConfigInvalid` (`bad_source`) for a text, say, which has no bytes of its own. */
export async function toSource(input: ObjectInput): Promise<ByteSource> {
  if (typeof input !== 'object' || input === null) throw badSource(input);
  if (input instanceof Uint8Array) return new BytesSource(input);
  if (input instanceof Blob) return iterableSource(input.stream(), input.size);
  if (Symbol.asyncIterator in input || Symbol.iterator in input) return iterableSource(input, undefined);
  if ('stat' in input) return fileSource(input);
  if ('read' in input) return input;
  throw badSource(input);
}

class BytesSource implements ByteSource {
  readonly neverBlocks = true;
  readonly size: number;
  #left: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#left = bytes;
    this.size = bytes.length;
  }

  async read(into: Uint8Array, signal?: AbortSignal): Promise<number> {
    throwIfAborted(signal, 'reading the source');
    const next = this.#left.subarray(0, into.length);
    into.set(next);
    this.#left = this.#left.subarray(next.length);
    return next.length;
  }

  async close(): Promise<void> {}
}

async function fileSource(handle: FileHandle): Promise<ByteSource> {
  const stat = await handle.stat();
  if (!stat.isFile()) return iterableSource(handle.createReadStream({ autoClose: false }), undefined);
  return new FileSource(handle, stat.size, 0);
}

/** What a file can be read and known again by; undefined for what can be read only once. */
export async function rereadable(
  input: ObjectInput,
): Promise<{ readonly file: FileHandle; readonly version: FileVersion } | undefined> {
  if (!('stat' in input)) return undefined;
  const stat = await input.stat({ bigint: true });
  if (!stat.isFile()) return undefined;
  const { size, mtimeNs, ino, dev } = stat;
  const version = { size: Number(size), mtimeNs: `${mtimeNs}`, inode: `${ino}`, device: `${dev}` };
  return { file: input, version };
}

/** A file from some byte on. */
export const fileFrom = (file: FileHandle, { size }: FileVersion, position: number): ByteSource =>
  new FileSource(file, size, position);

/**
 * A file, read one byte further than asked each time: the next question whether there is more is answered without another
 * system call.
 */
class FileSource implements ByteSource {
  readonly neverBlocks = true;
  readonly size: number;
  readonly #handle: FileHandle;
  readonly #spare = new Uint8Array(1);
  #hasSpare = false;
  #position: number;

  constructor(handle: FileHandle, size: number, position: number) {
    this.#handle = handle;
    this.size = size;
    this.#position = position;
  }

  async read(into: Uint8Array, signal?: AbortSignal): Promise<number> {
    let filled = 0;
    if (this.#hasSpare && into.length > 0) {
      into[filled++] = this.#spare[0]!;
      this.#hasSpare = false;
    }
    while (filled < into.length) {
      throwIfAborted(signal, 'reading the source');
      const wanted = into.subarray(filled);
      const { bytesRead } = await this.#handle.readv([wanted, this.#spare], this.#position);
      if (bytesRead === 0) break;
      this.#position += bytesRead;
      this.#hasSpare = bytesRead > wanted.length;
      filled += Math.min(bytesRead, wanted.length);
    }
    return filled;
  }

  async close(): Promise<void> {}
}

function iterableSource(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  size: number | undefined,
): ByteSource {
  const iterator =
    Symbol.asyncIterator in pieces ? pieces[Symbol.asyncIterator]() : pieces[Symbol.iterator]();
  let left: Uint8Array = NOTHING;
  let ended = false;
  let asked = false;
  return {
    neverBlocks: false,
    size,
    async read(into, signal) {
      let filled = 0;
      while (filled < into.length) {
        if (left.length === 0) {
          if (ended) break;
          throwIfAborted(signal, 'reading the source');
          asked = true;
          const next = await abortable(Promise.resolve(iterator.next()), signal, 'reading the source');
          asked = false;
          if (next.done) {
            ended = true;
            break;
          }
          left = checkedPiece(next.value);
          continue;
        }
        const take = Math.min(left.length, into.length - filled);
        into.set(left.subarray(0, take), filled);
        left = left.subarray(take);
        filled += take;
      }
      return filled;
    },
    async close() {
      if (ended) return;
      if ('destroy' in pieces && typeof pieces.destroy === 'function') pieces.destroy();
      const returned = Promise.resolve(iterator.return?.()).catch(() => {});
      // A generator that was left in the middle of a step would answer only after that.
      if (!asked) await returned;
    },
  };
}

function checkedPiece(piece: unknown): Uint8Array {
  if (piece instanceof Uint8Array) return piece;
  throw badSource(piece);
}

function badSource(found: unknown): HoldfastError {
  const what = found === null ? 'null' : typeof found;
  return new HoldfastError('ConfigInvalid', `an object is made of Uint8Array, not of ${what}`, {
    code: 'bad_source',
    hint: 'Pass bytes, a Blob, a stream or iterable of bytes, or a file handle; new TextEncoder().encode(text) for a text.',
  });
}
