import PQueue from 'p-queue';
import { linkedAbort } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { CertificateRecord } from '../../manifest/certificate.ts';
import type { OpenRoot } from '../../manifest/root.ts';
import { type Damage, DamageLog } from '../../object/damage.ts';
import { type NodeMemory, readableSegments } from '../../object/readable-segments.ts';
import { whyUnreadable } from '../../records/behind.ts';
import { openManifest } from '../../records/manifests.ts';
import { resolveReference } from '../../records/names.ts';
import type { VaultContext } from '../context.ts';
import { ReadAhead } from './read-ahead.ts';
import type { ReadState } from './read-state.ts';
import { checkedWhole } from './whole.ts';
import { type Window, windowsOf } from './window.ts';
import type { PlainChunk } from './window-read.ts';

export interface GetOptions {
  /** First byte, from 0. Negative: counted from the end. */
  readonly start?: number | undefined;
  /** Bytes from there; default: to the end. */
  readonly length?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A manifest that has been opened: what several reads of an object may share. */
export interface OpenedObject {
  readonly manifest: BlobAddress;
  readonly root: OpenRoot;
  /** Keeps what lies below the root; without it every read fetches its part again. */
  readonly nodes?: NodeMemory | undefined;
}

/** An object opened for reading. Its content is an async iterable, to be consumed once. */
export interface ObjectReader {
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

export interface ChunkReader extends ObjectReader {
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
  context: VaultContext,
  reference: string,
  options: GetOptions = {},
): Promise<ObjectReader> {
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
  context: VaultContext,
  opened: OpenedObject,
  options: GetOptions,
  damage: DamageLog = new DamageLog(),
): ChunkReader {
  const { manifest, root } = opened;
  const { size, contentType, createdMs, name } = root.secrets;
  const { start, length } = rangeOf(size, options);
  const chunks = (): AsyncIterable<PlainChunk> => {
    if (length === 0 && size > 0) return nothing();
    const part = readChunks(context, opened, start, start + length, damage, options.signal);
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

function rangeOf(size: number, options: GetOptions): { start: number; length: number } {
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

/** Chunks in order. Leaving early cancels and releases the rest. */
async function* readChunks(
  context: VaultContext,
  { root, nodes }: OpenedObject,
  start: number,
  end: number,
  damage: DamageLog,
  signal: AbortSignal | undefined,
): AsyncGenerator<PlainChunk> {
  const stop = linkedAbort(signal, 'get');
  const queue = new PQueue({ concurrency: context.policy.maxInflight });
  const avoid = new Set<string>();
  const state: ReadState = { context, root, damage, queue, signal: stop.signal, avoid, spares: 0 };
  const ahead = new ReadAhead(state, allWindows(state, nodes, start, end));
  try {
    for (let chunk = await ahead.next(); chunk !== undefined; chunk = await ahead.next()) {
      try {
        yield chunk;
      } finally {
        chunk.release();
      }
    }
  } finally {
    stop.dispose();
    stop.abort(new HoldfastError('Aborted', 'the reader went away', { operation: 'get' }));
    await ahead.close();
  }
}

/** Parts of the arena that a window takes: little at first, so that the first byte comes soon, then more for fewer requests. */
const FIRST_WINDOW = 1 / 32;
export const MAX_WINDOW: number = 1 / 8;

async function* allWindows(
  state: ReadState,
  nodes: NodeMemory | undefined,
  start: number,
  end: number,
): AsyncGenerator<Window> {
  const { context, root, damage, signal } = state;
  const whole = Math.max(end, start + 1);
  let share = FIRST_WINDOW;
  const nextBytes = (): number => {
    const bytes = share * context.arena.capacity;
    share = Math.min(2 * share, MAX_WINDOW);
    return bytes;
  };
  for await (const segment of readableSegments(context, root, start, whole, damage, signal, nodes)) {
    yield* windowsOf(segment, start, end, nextBytes);
  }
}
