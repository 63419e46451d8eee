import { abortable } from '../core/abort.ts';
import { isHoldfastError } from '../core/errors.ts';
import type { ByteRange } from '../http/message/range.ts';
import { type OpenedObject, readOpened } from '../pipeline/get/get.ts';
import { chunkStartOf } from '../pipeline/get/readable-segments.ts';
import type { VaultContext } from '../pipeline/ports.ts';
import type { ChunkCache } from './chunk-cache.ts';
import type { MemoryGate } from './memory-gate.ts';
import type { OpenedManifests } from './opened-manifests.ts';
import { patientRead } from './patient-read.ts';

export interface ObjectReadParts {
  readonly context: VaultContext;
  readonly gate: MemoryGate;
  readonly manifests: OpenedManifests;
  readonly chunks: ChunkCache;
  /** Chunks on their way into memory, by manifest and place. */
  readonly decoding: Map<string, Promise<void>>;
  /** A chunk was in memory, or had to be decoded. */
  onLookup(hit: boolean): void;
  /** A shard was not what the manifest says; others took its place. */
  onCorrupt(): void;
}

/** What is copied out of a kept chunk at once: a client that is slow holds this and not the chunk. */
const PIECE_BYTES = 64 * 1024;

/** Bytes of a window: what is in memory or about to be, from there on decoded. */
export async function* readObject(
  parts: ObjectReadParts,
  opened: OpenedObject,
  range: ByteRange,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  let { start: at } = range;
  for (let counted = -1, awaited = -1; at < range.end; ) {
    const kept = parts.chunks.find(opened.manifest, at);
    if (kept === undefined) {
      const start = startOf(opened, at);
      const decoding = parts.decoding.get(`${opened.manifest} ${start}`);
      if (start === undefined || start === awaited || decoding === undefined) break;
      awaited = start;
      await abortable(decoding, signal);
      continue;
    }
    if (kept.plainStart !== counted) parts.onLookup(true);
    counted = kept.plainStart;
    const from = at - kept.plainStart;
    const piece = kept.bytes.slice(from, from + Math.min(PIECE_BYTES, range.end - at));
    at += piece.length;
    yield piece;
  }
  if (at < range.end) yield* decode(parts, opened, { start: at, end: range.end }, signal);
}

const startOf = ({ root, nodes }: OpenedObject, at: number): number | undefined =>
  nodes && chunkStartOf(root, nodes, at);

async function* decode(
  parts: ObjectReadParts,
  opened: OpenedObject,
  range: ByteRange,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { context, gate, manifests, chunks, onLookup, onCorrupt } = parts;
  const { manifest, root } = opened;
  const keeps = chunks.takes(range.end - range.start);
  const done = keeps ? announce(parts, opened, range.start) : (): void => {};
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
    yield* patientRead(range, { gate, memoryFor, open, signal });
  } catch (error) {
    // It may have been deleted: whoever asks next looks for it again.
    if (!isHoldfastError(error, 'Aborted')) manifests.forget(manifest);
    throw error;
  } finally {
    done();
  }
}

/** Others who want the chunk wait until it is in memory. @returns how to say that it is, or that it will not be. */
function announce({ decoding }: ObjectReadParts, opened: OpenedObject, at: number): () => void {
  const start = startOf(opened, at);
  const key = `${opened.manifest} ${start}`;
  if (start === undefined || decoding.has(key)) return () => {};
  let settle = (): void => {};
  const kept = new Promise<void>((resolve) => {
    settle = resolve;
  });
  decoding.set(key, kept);
  return () => {
    if (decoding.get(key) === kept) decoding.delete(key);
    settle();
  };
}

/** Windows of a read that hold memory at the same time: one being consumed, two ahead. */
const WINDOWS = 3;
/** All shards of a chunk, the parity too, over its own length; rounded up. */
const EXPANSION = 2;
/** Shards of the shortest chunks are rounded up to whole pages and rows. */
const FLOOR_BYTES = 256 * 1024;

/** The most memory that reading `length` bytes holds in an arena of `capacity`. */
export function readMemory(length: number, chunkLen: number, capacity: number): number {
  const windows = WINDOWS * Math.max(capacity / 16, chunkLen);
  const touched = length + 2 * chunkLen;
  return FLOOR_BYTES + EXPANSION * Math.min(windows, touched);
}
