import { isHoldfastError } from '../core/errors.ts';
import type { ByteRange } from '../http/message/range.ts';
import { type OpenedObject, readOpened } from '../pipeline/get/get.ts';
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
  /** A chunk was in memory, or had to be decoded. */
  onLookup(hit: boolean): void;
}

/** What is copied out of a kept chunk at once: a client that is slow holds this and not the chunk. */
const PIECE_BYTES = 64 * 1024;

/** Bytes of a window: as far as chunks are in memory from there, the rest decoded. */
export async function* readObject(
  parts: ObjectReadParts,
  opened: OpenedObject,
  range: ByteRange,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  let { start: at } = range;
  for (let last = -1; at < range.end; ) {
    const kept = parts.chunks.find(opened.manifest, at);
    if (kept === undefined) break;
    if (kept.plainStart !== last) parts.onLookup(true);
    last = kept.plainStart;
    const from = at - kept.plainStart;
    const piece = kept.bytes.slice(from, from + Math.min(PIECE_BYTES, range.end - at));
    at += piece.length;
    yield piece;
  }
  if (at < range.end) yield* decode(parts, opened, { start: at, end: range.end }, signal);
}

async function* decode(
  { context, gate, manifests, chunks, onLookup }: ObjectReadParts,
  opened: OpenedObject,
  range: ByteRange,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { manifest, root } = opened;
  const keeps = chunks.takes(range.end - range.start);
  async function* open({ start, end }: ByteRange): AsyncGenerator<Uint8Array, void, undefined> {
    const reader = readOpened(context, opened, { start, length: end - start, signal });
    for await (const chunk of reader.chunks()) {
      onLookup(false);
      if (keeps) chunks.keep(manifest, chunk);
      yield chunk.bytes.subarray(Math.max(0, start - chunk.plainStart), end - chunk.plainStart);
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
  }
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
