import { abortable } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { createBufferPool } from '../core/buffer-pool.ts';
import { type Deferred, deferred } from '../core/deferred.ts';
import { chunkStartOf, type OpenedManifest } from '../object/readable-segments.ts';
import type { ChunkOfObject } from '../pipeline/get/get.ts';

/** Keeps decoded chunks, within a budget of bytes. The least recently used goes first. */
export interface ChunkCache {
  /** The chunk that has the byte `at` of the object. Its bytes are valid until the next call of any method. */
  find(object: BlobAddress, at: number): ChunkOfObject | undefined;
  /** Tells whether to keep the chunks of a read of so many bytes: one long read must not push out all others. */
  takes(readBytes: number): boolean;
  /** Copies a chunk. */
  keep(object: BlobAddress, chunk: ChunkOfObject): void;
  forget(object: BlobAddress): void;
}

/** Longer reads and chunks than this share of the budget are not kept. */
const LONGEST_SHARE = 1 / 8;

interface Kept extends ChunkOfObject {
  readonly object: BlobAddress;
  /** The memory that `bytes` are a part of. */
  readonly buffer: Uint8Array;
}

/**
 * @param maxBytes 0 keeps nothing.
 * @param onUsed is told how many bytes there are whenever that changes.
 */
export function createChunkCache(maxBytes: number, onUsed: (bytes: number) => void): ChunkCache {
  /** The order of use. */
  const all = new Set<Kept>();
  /** By object, ascending by place. */
  const places = new Map<BlobAddress, Kept[]>();
  const longest = maxBytes * LONGEST_SHARE;
  const pool = createBufferPool(maxBytes);
  let used = 0;

  const use = (bytes: number): void => {
    used += bytes;
    onUsed(used);
  };
  const drop = (kept: Kept): void => {
    all.delete(kept);
    use(-kept.bytes.length);
    pool.give(kept.buffer);
    const list = places.get(kept.object)!;
    if (list.length === 1) places.delete(kept.object);
    else list.splice(indexOf(list, kept.plainStart), 1);
  };

  return {
    takes: (readBytes) => readBytes <= longest,
    find(object, at) {
      const list = places.get(object);
      const kept = list?.[indexOf(list, at)];
      if (kept === undefined || at >= kept.plainStart + kept.bytes.length) return undefined;
      all.delete(kept);
      all.add(kept);
      return kept;
    },
    keep(object, { plainStart, bytes }) {
      if (bytes.length === 0 || bytes.length > longest) return;
      const list = places.get(object) ?? [];
      const before = indexOf(list, plainStart);
      if (list[before]?.plainStart === plainStart) return;
      let buffer = pool.take(bytes.length);
      for (const oldest of all) {
        if (buffer !== undefined) break;
        drop(oldest);
        buffer = pool.take(bytes.length);
      }
      if (buffer === undefined) return;
      buffer.set(bytes);
      const kept = { object, plainStart, bytes: buffer.subarray(0, bytes.length), buffer };
      use(bytes.length);
      all.add(kept);
      // Making room may have emptied the list and forgotten it.
      const now = places.get(object) ?? [];
      now.splice(indexOf(now, plainStart) + 1, 0, kept);
      places.set(object, now);
    },
    forget(object) {
      for (const kept of [...(places.get(object) ?? [])]) drop(kept);
    },
  };
}

/** Index of the last that starts at or before `at`; -1 if there is none. */
function indexOf(list: readonly Kept[], at: number): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle]!.plainStart <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Chunks on their way into memory. A read that wants one waits for the read that decodes it. */
export interface Decodings {
  /** A read begins to decode the chunk that has the byte `at`. @returns what it calls when the chunk is in memory, or never will be. */
  begin(opened: OpenedManifest, at: number): () => void;
  /** Resolves when nobody is decoding the chunk that has the byte `at`. @throws Aborted. */
  over(opened: OpenedManifest, at: number, signal: AbortSignal): Promise<void>;
}

export function createDecodings(): Decodings {
  const running = new Map<string, Deferred>();
  return {
    begin(opened, at) {
      const key = keyOf(opened, at);
      if (key === undefined || running.has(key)) return () => {};
      const mine = deferred();
      running.set(key, mine);
      return () => {
        if (running.get(key) === mine) running.delete(key);
        mine.resolve();
      };
    },
    async over(opened, at, signal) {
      const key = keyOf(opened, at);
      const one = key === undefined ? undefined : running.get(key);
      if (one !== undefined) await abortable(one.promise, signal);
    },
  };
}

/** Undefined where the manifest's nodes are not in memory. */
function keyOf({ manifest, root, nodes }: OpenedManifest, at: number): string | undefined {
  const start = nodes && chunkStartOf(root, nodes, at);
  return start === undefined ? undefined : `${manifest} ${start}`;
}
