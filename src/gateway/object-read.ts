import { isHoldfastError } from '../core/errors.ts';
import type { ByteRange } from '../http/selection.ts';
import type { OpenedManifest } from '../object/readable-segments.ts';
import type { ReadContext } from '../pipeline/context.ts';
import { readOpened } from '../pipeline/get/get.ts';
import { readMemory } from '../pipeline/get/read-ahead.ts';
import type { ChunkCache, Decodings } from './chunk-cache.ts';
import type { MemoryGate } from './memory-gate.ts';
import type { OpenedManifests } from './opened-manifests.ts';

export interface ObjectReadParts {
  readonly context: ReadContext;
  readonly gate: MemoryGate;
  readonly manifests: OpenedManifests;
  readonly chunks: ChunkCache;
  readonly decodings: Decodings;
  /** Is told that a chunk was in memory, or had to be decoded. */
  onLookup(hit: boolean): void;
  /** Is told of a shard that was not what the manifest says. Others took its place. */
  onCorrupt(): void;
}

/** A client gets copies this long. One that is slow holds a copy, not the chunk or the memory that it came from. */
const PIECE_BYTES = 64 * 1024;

/** Reads a window: first the chunks that are in memory or about to be, then decoded ones. */
export async function* readObject(
  parts: ObjectReadParts,
  opened: OpenedManifest,
  range: ByteRange,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { chunks, decodings, onLookup } = parts;
  let at = range.start;
  for (let counted = -1; at < range.end; ) {
    let kept = chunks.find(opened.manifest, at);
    if (kept === undefined) {
      await decodings.over(opened, at, signal);
      kept = chunks.find(opened.manifest, at);
      if (kept === undefined) break;
    }
    if (kept.plainStart !== counted) onLookup(true);
    counted = kept.plainStart;
    const from = at - kept.plainStart;
    const piece = kept.bytes.slice(from, from + Math.min(PIECE_BYTES, range.end - at));
    at += piece.length;
    yield piece;
  }
  if (at < range.end) yield* decode(parts, opened, { start: at, end: range.end }, signal);
}

async function* decode(
  parts: ObjectReadParts,
  opened: OpenedManifest,
  range: ByteRange,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { context, gate, manifests, chunks, decodings, onLookup, onCorrupt } = parts;
  const { manifest, root } = opened;
  const keeps = chunks.takes(range.end - range.start);
  const done = keeps ? decodings.begin(opened, range.start) : (): void => {};
  async function* open({ start, end }: ByteRange): AsyncGenerator<Uint8Array, void, undefined> {
    const reader = readOpened(context, opened, { start, length: end - start, signal });
    try {
      for await (const chunk of reader.chunks()) {
        onLookup(false);
        if (keeps) chunks.keep(manifest, chunk);
        done();
        yield chunk.bytes.subarray(Math.max(0, start - chunk.plainStart), end - chunk.plainStart);
      }
    } finally {
      for (const { problem } of reader.damage) if (problem === 'corrupt') onCorrupt();
    }
  }
  const memoryFor = (rest: ByteRange): number =>
    readMemory(rest.end - rest.start, root.record.chunkLen, context.arena.capacity);
  try {
    yield* parkableRead(range, { gate, memoryFor, open, signal });
  } catch (error) {
    // The object may have been deleted: the next read looks for its manifest again.
    if (!isHoldfastError(error, 'Aborted')) manifests.forget(manifest);
    throw error;
  } finally {
    done();
  }
}

/** Gives the bytes of a window. A piece is valid only until the reader asks for the next. */
type OpenPieces = (range: ByteRange) => AsyncIterable<Uint8Array>;

interface ParkableReadOptions {
  readonly gate: MemoryGate;
  /** The most memory that reading a window holds. */
  readonly memoryFor: (range: ByteRange) => number;
  readonly open: OpenPieces;
  readonly signal: AbortSignal;
}

/** Before the first byte we can tell a client to come back. Later we can only keep it waiting or cut it off. */
const FIRST_WAIT_MS = 10_000;
const LATER_WAIT_MS = 30_000;

/**
 * Reads a window for a client that may be slow. While the client does not come for the next piece and others need the
 * memory, the gate parks the read: it lets its memory go, and goes on from where it was once the client is back.
 * @internal Tests drive it with a clock of their own.
 */
export async function* parkableRead(
  range: ByteRange,
  { gate, memoryFor, open, signal }: ParkableReadOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  let at = range.start;
  while (at < range.end) {
    const rest = { start: at, end: range.end };
    const waitMs = at === range.start ? FIRST_WAIT_MS : LATER_WAIT_MS;
    const permit = await gate.enter(memoryFor(rest), waitMs, signal);
    const pieces = open(rest)[Symbol.asyncIterator]();
    const state: { parked: Promise<void> | undefined } = { parked: undefined };
    const stop = async (): Promise<void> => {
      try {
        await pieces.return?.();
      } finally {
        permit.release();
      }
    };
    const park = (): void => {
      state.parked = stop();
      state.parked.catch(() => {});
    };
    try {
      while (state.parked === undefined) {
        const step = await pieces.next();
        if (step.done) break;
        for (let from = 0; from < step.value.length && !state.parked; from += PIECE_BYTES) {
          const copy = step.value.slice(from, from + PIECE_BYTES);
          at += copy.length;
          permit.idle(park);
          yield copy;
          permit.busy();
        }
      }
      if (state.parked === undefined && at < range.end) throw new Error('the source ended before its length');
    } finally {
      permit.busy();
      await (state.parked ?? stop());
    }
  }
}
