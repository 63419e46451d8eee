import { constants } from 'node:buffer';
import type { BlobAddress } from '../core/address.ts';
import { HoldfastError } from '../core/errors.ts';
import { checkOptions } from '../core/options.ts';
import type { Damage } from '../object/damage.ts';
import type { VaultContext } from '../pipeline/context.ts';
import { getObject, type OpenedReader } from '../pipeline/get/get.ts';
import type { Certificate } from '../placement/certificate.ts';

export interface GetOptions {
  /** First byte, from 0. Negative: counted from the end. */
  readonly start?: number | undefined;
  /** Bytes from there. Default: to the end. */
  readonly length?: number | undefined;
  /** Called with each piece that the content yields. */
  readonly onProgress?: ((progress: GetProgress) => void) | undefined;
  /** Ends the opening and the reading with `Aborted`. */
  readonly signal?: AbortSignal | undefined;
}

export interface GetProgress {
  /** Plaintext yielded so far. */
  readonly bytesRead: number;
  /** Plaintext of the part in all. */
  readonly totalBytes: number;
}

export interface WholeOptions {
  /**
   * Refuse more than this, before anything is read. Default: what one buffer, or one string, of this machine can hold.
   */
  readonly maxBytes?: number | undefined;
}

/**
 * An object opened for reading. Its content can be read once, in one of the ways below; a second one rejects with
 * `Unexpected` (`already_read`). Every piece was authenticated. Of a whole object the last piece comes only once all
 * have the hash that was taken when it was put; otherwise the reading ends with `Corrupt` (`wrong_plain_hash`). Where
 * too few shards are left it ends with `Unavailable` (`undecodable`). Leaving early cancels what was asked of providers.
 * If the name's version is replaced and gone before the first piece was read, the version that took its place is read,
 * and the fields below tell of that one; after the first piece they stay.
 */
export interface ObjectReader {
  readonly manifest: BlobAddress;
  readonly name: string | undefined;
  /** Of the whole object, in bytes. */
  readonly size: number;
  /** The part that will be read: its first byte, and how many from there. */
  readonly start: number;
  readonly length: number;
  readonly contentType: string;
  readonly createdMs: number;
  readonly certificate: Certificate;
  /** What was found missing or wrong so far; complete once the content has been read. */
  readonly damage: readonly Damage[];
  /** Plaintext in order, in pieces of their own. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array>;
  /** The same without a copy: each piece is valid only until the next is asked for. */
  borrow(): AsyncIterable<Uint8Array>;
  /** The same as a web stream. Nothing is read before it is asked for; cancelling it ends the read. */
  stream(): ReadableStream<Uint8Array>;
  /** All of it in one buffer. @throws HoldfastError `RangeNotSatisfiable` (`over_max_bytes`). */
  bytes(options?: WholeOptions): Promise<Uint8Array<ArrayBuffer>>;
  /** All of it as UTF-8; what is not is replaced by U+FFFD. @throws HoldfastError as `bytes` does. */
  text(options?: WholeOptions): Promise<string>;
  /** All of it, with the content type. @throws HoldfastError as `bytes` does. */
  blob(options?: WholeOptions): Promise<Blob>;
  /** Ends a read that is under way. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** @throws HoldfastError as `Vault.getObject` says. */
export async function openReader(
  context: VaultContext,
  reference: string,
  { onProgress, ...part }: GetOptions = {},
): Promise<ObjectReader> {
  return readerOf(await getObject(context, reference, part), onProgress);
}

function readerOf(opened: OpenedReader, onProgress: GetOptions['onProgress']): ObjectReader {
  let running: AsyncGenerator<Uint8Array> | undefined;
  const once = (pieces: () => AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> => {
    if (running !== undefined) throw alreadyRead();
    running = counted(pieces(), () => opened.length, onProgress);
    return running;
  };
  const borrow = (): AsyncGenerator<Uint8Array> => once(() => opened.borrow());
  const copies = (): AsyncGenerator<Uint8Array> => once(() => opened);
  const whole = async (call: string, options: WholeOptions, most: number) => {
    checkOptions<WholeOptions>(call, options, { maxBytes: true });
    const checked = (): number => {
      const { length } = opened;
      if (length > Math.min(options.maxBytes ?? most, most)) throw overMaxBytes(length, options, most);
      return length;
    };
    checked();
    return gathered(borrow(), checked);
  };
  const bytes = (options: WholeOptions = {}) => whole('bytes', options, constants.MAX_LENGTH);
  return {
    get manifest() {
      return opened.manifest;
    },
    get name() {
      return opened.name;
    },
    get size() {
      return opened.size;
    },
    get start() {
      return opened.start;
    },
    get length() {
      return opened.length;
    },
    get contentType() {
      return opened.contentType;
    },
    get createdMs() {
      return opened.createdMs;
    },
    get certificate() {
      return opened.certificate;
    },
    get damage() {
      return opened.damage;
    },
    borrow,
    [Symbol.asyncIterator]: copies,
    stream: () => streamOf(copies()),
    bytes,
    text: async (options = {}) =>
      new TextDecoder().decode(await whole('text', options, constants.MAX_STRING_LENGTH)),
    blob: async (options = {}) => new Blob([await bytes(options)], { type: opened.contentType }),
    async [Symbol.asyncDispose]() {
      await running?.return(undefined);
    },
  };
}

async function* counted(
  pieces: AsyncIterable<Uint8Array>,
  totalBytes: () => number,
  onProgress: GetOptions['onProgress'],
): AsyncGenerator<Uint8Array> {
  let bytesRead = 0;
  for await (const piece of pieces) {
    bytesRead += piece.length;
    onProgress?.({ bytesRead, totalBytes: totalBytes() });
    yield piece;
  }
}

function streamOf(pieces: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await pieces.next();
        if (next.done) controller.close();
        else controller.enqueue(next.value);
      },
      async cancel() {
        await pieces.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

/** @param length is asked once the first piece is there: which version is read is certain only then. */
async function gathered(
  pieces: AsyncIterable<Uint8Array>,
  length: () => number,
): Promise<Uint8Array<ArrayBuffer>> {
  let all: Uint8Array<ArrayBuffer> | undefined;
  let at = 0;
  for await (const piece of pieces) {
    all ??= new Uint8Array(length());
    all.set(piece, at);
    at += piece.length;
  }
  return all ?? new Uint8Array(0);
}

function alreadyRead(): HoldfastError {
  return new HoldfastError('Unexpected', 'the content of an object reader can be read once', {
    code: 'already_read',
    hint: 'Call getObject again.',
  });
}

function overMaxBytes(length: number, { maxBytes = Infinity }: WholeOptions, most: number): HoldfastError {
  const limit = Math.min(maxBytes, most);
  return new HoldfastError(
    'RangeNotSatisfiable',
    `${length} bytes would be read, and at most ${limit} may be`,
    {
      code: 'over_max_bytes',
      hint: 'Read a part with start and length, or read it as a stream.',
      context: { length, limit },
    },
  );
}
