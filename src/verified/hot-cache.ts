import type { BlobAddress } from '../core/address.ts';
import { type BufferPool, createBufferPool } from '../core/buffer-pool.ts';
import type { PinnedBytes } from '../http/representation.ts';

/** Room that is filled first and then kept or released. */
export interface HotReservation {
  /** To be filled. The first content means nothing. */
  readonly bytes: Uint8Array;
  keep(address: BlobAddress, revision: string | undefined): HotBlob;
  release(): void;
}

export interface HotBlob {
  readonly size: number;
  /** Revision of the stored bytes when they were read; see `BlobStat`. */
  readonly revision: string | undefined;
  /** Gives the bytes until `release` is called, once; undefined when they are gone already. */
  pin(): PinnedBytes | undefined;
}

export interface HotLimits {
  readonly maxBytes: number;
  readonly maxBlobBytes: number;
}

/** A window of a longer blob is worth reading by itself. */
const SHORT_BYTES = 2 * 1024 * 1024;

export const isLong = (size: number): boolean => size > SHORT_BYTES;

/**
 * Keeps whole blobs in memory. Long ones go first, so that reading many of them leaves the short ones where they are.
 * Among the long ones and among the short ones, those go first that nobody has used since they were last looked at. The
 * bound covers blobs that are being filled, and those that answers still pin after they were dropped. Memory is used
 * again, so bytes may be read only while they are pinned.
 */
export class HotCache {
  readonly #maxBlobBytes: number;
  readonly #pool: BufferPool;
  readonly #onHeld: (bytes: number) => void;
  readonly #short = new Map<BlobAddress, Entry>();
  readonly #long = new Map<BlobAddress, Entry>();

  /** @param onHeld is told how much memory the cache holds whenever that may have changed. */
  constructor({ maxBytes, maxBlobBytes }: HotLimits, onHeld: (bytes: number) => void) {
    this.#maxBlobBytes = maxBlobBytes;
    this.#pool = createBufferPool(maxBytes);
    this.#onHeld = onHeld;
  }

  get(address: BlobAddress): HotBlob | undefined {
    const entry = this.#entry(address);
    if (entry !== undefined) entry.used = true;
    return entry;
  }

  drop(address: BlobAddress): void {
    this.#entry(address)?.drop();
    this.#short.delete(address);
    this.#long.delete(address);
  }

  /** Room for a blob, to be kept or released; undefined when the blob is too long or too much is pinned. */
  reserve(size: number): HotReservation | undefined {
    const buffer = size > this.#maxBlobBytes ? undefined : this.#take(size);
    if (buffer === undefined) return undefined;
    const bytes = buffer.subarray(0, size);
    let open = true;
    return {
      bytes,
      keep: (address, revision) => {
        open = false;
        this.drop(address);
        const entry = new Entry(bytes, revision, () => this.#pool.give(buffer));
        (isLong(size) ? this.#long : this.#short).set(address, entry);
        return entry;
      },
      release: () => {
        if (open) this.#pool.give(buffer);
        open = false;
      },
    };
  }

  #entry(address: BlobAddress): Entry | undefined {
    return this.#short.get(address) ?? this.#long.get(address);
  }

  #take(size: number): Uint8Array | undefined {
    const buffer =
      this.#pool.take(size) ?? this.#makeRoom(this.#long, size) ?? this.#makeRoom(this.#short, size);
    this.#onHeld(this.#pool.heldBytes);
    return buffer;
  }

  /** Drops blobs of one line until there is room. */
  #makeRoom(line: Map<BlobAddress, Entry>, size: number): Uint8Array | undefined {
    for (let looks = 2 * line.size; looks > 0; looks--) {
      const [address, entry] = line.entries().next().value!;
      line.delete(address);
      if (entry.pinned || entry.used) {
        // It goes to the end of the line, and next time it must have been used again.
        entry.used = false;
        line.set(address, entry);
        continue;
      }
      entry.drop();
      const buffer = this.#pool.take(size);
      if (buffer !== undefined) return buffer;
    }
    return undefined;
  }
}

class Entry implements HotBlob {
  readonly revision: string | undefined;
  readonly #bytes: Uint8Array;
  readonly #free: () => void;
  used = false;
  #pins = 0;
  #dropped = false;

  constructor(bytes: Uint8Array, revision: string | undefined, free: () => void) {
    this.#bytes = bytes;
    this.revision = revision;
    this.#free = free;
  }

  get size(): number {
    return this.#bytes.length;
  }

  get pinned(): boolean {
    return this.#pins > 0;
  }

  pin(): PinnedBytes | undefined {
    if (this.#dropped && this.#pins === 0) return undefined;
    this.#pins++;
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      this.#pins--;
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
    if (this.#dropped && this.#pins === 0) this.#free();
  }
}
