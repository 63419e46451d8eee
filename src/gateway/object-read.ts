import { isHoldfastError } from '../core/errors.ts';
import type { ByteRange } from '../http/message/range.ts';
import type { VaultContext } from '../pipeline/context.ts';
import { type OpenedObject, readOpened } from '../pipeline/get/get.ts';
import { readMemory } from '../pipeline/get/read-memory.ts';
import type { ChunkCache } from './chunk-cache.ts';
import type { Decodings } from './decodings.ts';
import type { MemoryGate } from './memory-gate.ts';
import type { OpenedManifests } from './opened-manifests.ts';
import { patientRead } from './patient-read.ts';

export interface ObjectReadParts {
  readonly context: VaultContext;
  readonly gate: MemoryGate;
  readonly manifests: OpenedManifests;
  readonly chunks: ChunkCache;
  readonly decodings: Decodings;
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
  opened: OpenedObject,
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
    yield* patientRead(range, { gate, memoryFor, open, signal });
  } catch (error) {
    // It may have been deleted: whoever asks next looks for it again.
    if (!isHoldfastError(error, 'Aborted')) manifests.forget(manifest);
    throw error;
  } finally {
    done();
  }
}
