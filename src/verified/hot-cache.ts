import type { BlobAddress } from '../core/address.ts';
import { createBufferPool } from '../core/buffer-pool.ts';
import type { PinnedBytes } from '../http/representation.ts';

/**
 * Whole blobs in memory. Long ones go first, so that reading many of them leaves the short ones where they are; among
 * these and those, the ones not used since they were last looked at. The bound covers blobs being filled and those that
 * answers still hold after they were dropped. Memory is used again, so bytes may be read only while they are held.
 */
interface HotCache {
  /** Room for a blob; undefined when it is too long to be kept, or too much is held. To be kept or released. */
  reserve(size: number): HotReservation | undefined;
  get(address: BlobAddress): HotBlob | undefined;
  drop(address: BlobAddress): void;
}

export interface HotReservation {
  /** To be filled; what it holds at first means nothing. */
  readonly bytes: Uint8Array;
  keep(address: BlobAddress, revision: string | undefined): HotBlob;
  release(): void;
}

export interface HotBlob {
  readonly size: number;
  /** Of the stored bytes when they were read; see `BlobStat`. */
  readonly revision: string | undefined;
  /** The bytes until `release` is called, once; undefined when they are gone already. */
  hold(): PinnedBytes | undefined;
}

export interface HotLimits {
  readonly maxBytes: number;
  readonly maxBlobBytes: number;
}

/** Of a longer blob a window is worth reading by itself. */
const SHORT_BYTES = 2 * 1024 * 1024;

export const isLong = (size: number): boolean => size > SHORT_BYTES;

/** @param onHeld told how much memory the cache has whenever that may have changed. */
export function createHotCache(
  { maxBytes, maxBlobBytes }: HotLimits,
  onHeld: (bytes: number) => void,
): HotCache {
  const short = new Map<BlobAddress, Entry>();
  const long = new Map<BlobAddress, Entry>();
  const pool = createBufferPool(maxBytes);

  const find = (address: BlobAddress): Entry | undefined => short.get(address) ?? long.get(address);
  const drop = (address: BlobAddress): void => {
    find(address)?.drop();
    short.delete(address);
    long.delete(address);
  };

  /** Drops blobs of one line until there is room. */
  const makeRoom = (kept: Map<BlobAddress, Entry>, size: number): Uint8Array | undefined => {
    for (let looks = 2 * kept.size; looks > 0; looks--) {
      const [address, entry] = kept.entries().next().value!;
      kept.delete(address);
      if (entry.held || entry.used) {
        // To the end of the line, and next time it must have been used again.
        entry.used = false;
        kept.set(address, entry);
        continue;
      }
      entry.drop();
      const buffer = pool.take(size);
      if (buffer !== undefined) return buffer;
    }
    return undefined;
  };
  const take = (size: number): Uint8Array | undefined => {
    const buffer = pool.take(size) ?? makeRoom(long, size) ?? makeRoom(short, size);
    onHeld(pool.heldBytes);
    return buffer;
  };

  return {
    drop,
    get(address) {
      const entry = find(address);
      if (entry !== undefined) entry.used = true;
      return entry;
    },
    reserve(size) {
      const buffer = size > maxBlobBytes ? undefined : take(size);
      if (buffer === undefined) return undefined;
      const bytes = buffer.subarray(0, size);
      let open = true;
      return {
        bytes,
        keep(address, revision) {
          open = false;
          drop(address);
          const entry = new Entry(bytes, revision, () => pool.give(buffer));
          (isLong(size) ? long : short).set(address, entry);
          return entry;
        },
        release() {
          if (open) pool.give(buffer);
          open = false;
        },
      };
    },
  };
}

class Entry implements HotBlob {
  readonly revision: string | undefined;
  readonly #bytes: Uint8Array;
  readonly #free: () => void;
  used = false;
  #holders = 0;
  #dropped = false;

  constructor(bytes: Uint8Array, revision: string | undefined, free: () => void) {
    this.#bytes = bytes;
    this.revision = revision;
    this.#free = free;
  }

  get size(): number {
    return this.#bytes.length;
  }

  get held(): boolean {
    return this.#holders > 0;
  }

  hold(): PinnedBytes | undefined {
    if (this.#dropped && this.#holders === 0) return undefined;
    this.#holders++;
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      this.#holders--;
      this.#freeIfUnused();
    };
    return { bytes: this.#bytes, release };
  }

  drop(): void {
    if (this.#dropped) return;
    this.#dropped = true;
    this.#freeIfUnused();
  }

  #freeIfUnused(): void {
    if (this.#dropped && this.#holders === 0) this.#free();
  }
}
