import type { BlobAddress } from '../../core/address.ts';
import { equalBytes } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { CertificateRecord } from '../../manifest/certificate.ts';
import type { Pointer } from '../../manifest/pointer.ts';
import { type Damage, DamageLog } from '../../object/damage.ts';
import type { OpenedManifest } from '../../object/readable-segments.ts';
import { wasReplaced, whyUnreadable } from '../../records/behind.ts';
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
 * Opens an object by name or manifest address. Where a name's version is replaced and gone before the first byte was
 * read, the one that took its place is opened instead; what the reader tells of the object is of the version it reads.
 * @throws HoldfastError `NotFound`, `PermissionDenied` (`not_a_reader`), `RangeNotSatisfiable`, `Unavailable` or
 * `Corrupt` (`undecodable`). Every piece that is yielded was authenticated; of a whole object the last is yielded only
 * once all have the hash that was taken when it was put (`wrong_plain_hash`).
 */
export async function getObject(
  context: ReadContext,
  reference: string,
  options: PartOptions = {},
): Promise<OpenedReader> {
  const opened = await openCurrent(context, reference, options);
  return opened.pointer === undefined
    ? opened.reader
    : new NamedReader(context, options, opened, opened.pointer);
}

/** Versions of a name that one read follows, each of them replaced while it was being opened. */
const MAX_FOLLOWED = 16;

interface Opened {
  readonly reader: OpenedReader;
  readonly pointer: Pointer | undefined;
}

async function openCurrent(context: ReadContext, reference: string, options: PartOptions): Promise<Opened> {
  const { signal } = options;
  for (let followed = 1; ; followed++) {
    const { manifest, pointer } = await resolveReference(context, reference, { signal });
    const damage = new DamageLog();
    try {
      const root = await openManifest(context, manifest, damage, { signal });
      return { reader: readOpened(context, { manifest, root }, options, damage), pointer };
    } catch (error) {
      if (pointer === undefined) throw error;
      if (followed >= MAX_FOLLOWED || !(await wasReplaced(context, pointer, error, signal))) {
        throw await whyUnreadable(context, pointer, error, signal);
      }
    }
  }
}

/** Reads the version that its name stood for, or the one that took its place before anything was read. */
class NamedReader implements OpenedReader {
  readonly #context: ReadContext;
  readonly #options: PartOptions;
  #reader: OpenedReader;
  #pointer: Pointer;

  constructor(context: ReadContext, options: PartOptions, { reader }: Opened, pointer: Pointer) {
    this.#context = context;
    this.#options = options;
    this.#reader = reader;
    this.#pointer = pointer;
  }

  get name(): string {
    return this.#pointer.name;
  }

  get manifest(): BlobAddress {
    return this.#reader.manifest;
  }

  get size(): number {
    return this.#reader.size;
  }

  get start(): number {
    return this.#reader.start;
  }

  get length(): number {
    return this.#reader.length;
  }

  get contentType(): string {
    return this.#reader.contentType;
  }

  get createdMs(): number {
    return this.#reader.createdMs;
  }

  get certificate(): CertificateRecord {
    return this.#reader.certificate;
  }

  get damage(): readonly Damage[] {
    return this.#reader.damage;
  }

  borrow(): AsyncGenerator<Uint8Array> {
    return this.#pieces((reader) => reader.borrow());
  }

  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    return this.#pieces((reader) => reader);
  }

  async *#pieces(of: (reader: OpenedReader) => AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for (let followed = 1; ; followed++) {
      const source = of(this.#reader)[Symbol.asyncIterator]();
      let begun = false;
      try {
        for (let next = await source.next(); next.done !== true; next = await source.next()) {
          begun = true;
          yield next.value;
        }
        return;
      } catch (error) {
        if (begun || followed >= MAX_FOLLOWED) throw await this.#explained(error);
        await this.#follow(error);
      } finally {
        await source.return?.();
      }
    }
  }

  /** @throws the error, explained, when the name still stands for what could not be read. */
  async #follow(error: unknown): Promise<void> {
    const { signal } = this.#options;
    if (!(await wasReplaced(this.#context, this.#pointer, error, signal))) throw await this.#explained(error);
    const { reader, pointer } = await openCurrent(this.#context, this.#pointer.name, this.#options);
    this.#reader = reader;
    this.#pointer = pointer!;
  }

  #explained(error: unknown): Promise<unknown> {
    return whyUnreadable(this.#context, this.#pointer, error, this.#options.signal);
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
