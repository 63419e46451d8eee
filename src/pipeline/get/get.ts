import type { BlobAddress } from '../../core/address.ts';
import { equalBytes } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { CertificateRecord } from '../../manifest/certificate.ts';
import { type Damage, DamageLog } from '../../object/damage.ts';
import type { OpenedManifest } from '../../object/readable-segments.ts';
import { whyUnreadable } from '../../records/behind.ts';
import { openManifest } from '../../records/manifests.ts';
import { resolveReference } from '../../records/names.ts';
import { timed } from '../../telemetry/metrics.ts';
import type { ReadContext, TransferContext } from '../context.ts';
import { readChunks } from './read-ahead.ts';
import type { PlainChunk } from './window-read.ts';

export interface PartOptions {
  /** First byte, from 0. Negative: counted from the end. */
  readonly start?: number | undefined;
  /** Bytes from there; default: to the end. */
  readonly length?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An object opened for reading. Its content is an async iterable, to be consumed once. */
export interface OpenedReader {
  readonly manifest: BlobAddress;
  readonly name: string | undefined;
  readonly size: number;
  /** The part that will be read. */
  readonly start: number;
  readonly length: number;
  readonly contentType: string;
  readonly createdMs: number;
  readonly certificate: CertificateRecord;
  /** What was found missing or wrong so far; complete once the content has been read. */
  readonly damage: readonly Damage[];
  /** Plaintext in order. Each piece is valid only until the next is asked for. */
  borrow(): AsyncIterable<Uint8Array>;
  /** The same in pieces of their own. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array>;
}

/** One chunk's plaintext. */
export interface ChunkOfObject {
  /** Offset of its first byte in the object. */
  readonly plainStart: number;
  readonly bytes: Uint8Array;
}

export interface ChunkReader extends OpenedReader {
  /** The chunks that the part touches, whole, in order. Each is valid only until the next is asked for. */
  chunks(): AsyncIterable<ChunkOfObject>;
}

/**
 * Opens an object by name or manifest address.
 * @throws HoldfastError `NotFound`, `PermissionDenied` (`not_a_reader`), `RangeNotSatisfiable`, `Unavailable` or
 * `Corrupt` (`undecodable`). Every piece that is yielded was authenticated; of a whole object the last is yielded only
 * once all have the hash that was taken when it was put (`wrong_plain_hash`).
 */
export async function getObject(
  context: ReadContext,
  reference: string,
  options: PartOptions = {},
): Promise<OpenedReader> {
  const { signal } = options;
  const { manifest, pointer } = await resolveReference(context, reference, { signal });
  const damage = new DamageLog();
  const explained = async (error: unknown): Promise<never> => {
    throw pointer === undefined ? error : await whyUnreadable(context, pointer, error, signal);
  };
  const root = await openManifest(context, manifest, damage, { signal }).catch(explained);
  const reader = readOpened(context, { manifest, root }, options, damage);
  if (pointer === undefined) return reader;
  return {
    ...reader,
    name: pointer.name,
    borrow: () => orElse(reader.borrow(), explained),
    [Symbol.asyncIterator]: () => orElse(reader, explained),
  };
}

/** What fails on the way fails as `explained` says. */
async function* orElse<T>(
  pieces: AsyncIterable<T>,
  explained: (error: unknown) => Promise<never>,
): AsyncGenerator<T> {
  const source = pieces[Symbol.asyncIterator]();
  try {
    for (let next = await source.next().catch(explained); next.done !== true; ) {
      yield next.value;
      next = await source.next().catch(explained);
    }
  } finally {
    await source.return?.();
  }
}

/** Reads an object whose manifest has been opened. @throws HoldfastError `RangeNotSatisfiable`. */
export function readOpened(
  context: TransferContext,
  opened: OpenedManifest,
  options: PartOptions,
  damage: DamageLog = new DamageLog(),
): ChunkReader {
  const { manifest, root } = opened;
  const { size, contentType, createdMs, name } = root.secrets;
  const { start, length } = rangeOf(size, options);
  const chunks = (): AsyncIterable<PlainChunk> => {
    if (length === 0 && size > 0) return nothing();
    const part = readChunks(context, opened, { start, end: start + length }, damage, options.signal);
    return length === size ? checkedWhole(context, part, size, root.secrets.plainHash) : part;
  };
  return {
    manifest,
    name,
    size,
    start,
    length,
    contentType,
    createdMs,
    certificate: root.record.certificate,
    damage: damage.found,
    chunks,
    borrow: () => piecesOf(chunks(), start, length, false),
    [Symbol.asyncIterator]: () => piecesOf(chunks(), start, length, true),
  };
}

async function* nothing(): AsyncGenerator<PlainChunk> {}

function rangeOf(size: number, options: PartOptions): { start: number; length: number } {
  const start =
    options.start === undefined ? 0 : options.start < 0 ? Math.max(0, size + options.start) : options.start;
  const wholeNumbers =
    Number.isSafeInteger(start) && (options.length === undefined || Number.isSafeInteger(options.length));
  if (!wholeNumbers || (options.length ?? 0) < 0) throw new TypeError('a range is given in whole bytes');
  if (start > size || (start === size && size > 0)) {
    throw new HoldfastError(
      'RangeNotSatisfiable',
      `the object has ${size} bytes; the range starts at ${start}`,
      {
        context: { size, start },
      },
    );
  }
  return { start, length: Math.min(options.length ?? size - start, size - start) };
}

async function* piecesOf(
  chunks: AsyncIterable<PlainChunk>,
  start: number,
  length: number,
  copied: boolean,
): AsyncGenerator<Uint8Array> {
  const end = start + length;
  for await (const chunk of chunks) {
    const from = Math.max(0, start - chunk.plainStart);
    const to = Math.min(chunk.bytes.length, end - chunk.plainStart);
    if (to <= from) continue;
    const piece = chunk.bytes.subarray(from, to);
    if (!copied) yield piece;
    else {
      const copy = piece.slice();
      // A consumer that pauses now holds no memory of the arena.
      chunk.release();
      yield copy;
    }
  }
}

/**
 * The chunks of a whole object, the last of them released only once all of them together have the hash that was taken
 * when the object was read to be stored.
 * @throws HoldfastError `Corrupt`, code `wrong_plain_hash`, in place of the last chunk.
 */
async function* checkedWhole(
  context: TransferContext,
  chunks: AsyncIterable<PlainChunk>,
  size: number,
  plainHash: Uint8Array,
): AsyncGenerator<PlainChunk> {
  const hasher = context.blake3.createHasher();
  let left = size;
  let checked = false;
  for await (const chunk of chunks) {
    await timed(context, 'object-hash', async () => hasher.update(chunk.bytes));
    left -= chunk.bytes.length;
    if (left <= 0 && !checked) {
      if (!equalBytes(hasher.digest(), plainHash)) throw wrongHash();
      checked = true;
    }
    yield chunk;
  }
}

function wrongHash(): HoldfastError {
  return new HoldfastError('Corrupt', 'the object read is not the object that was put', {
    code: 'wrong_plain_hash',
    hint: 'Do not use what was written so far. Read it again, on another machine too: if it stays, it was put wrong.',
  });
}
