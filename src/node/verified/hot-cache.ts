import type { BlobAddress } from '../../core/address.ts';

/** Whole blobs in memory, least recently used out first, within a bound that also covers those being filled. */
export interface HotCache {
  /** Room for a blob, or undefined when it is too long to be kept. To be kept or released. */
  reserve(size: number): HotReservation | undefined;
  get(address: BlobAddress): Uint8Array | undefined;
  drop(address: BlobAddress): void;
  readonly usedBytes: number;
}

export interface HotReservation {
  readonly bytes: Uint8Array;
  keep(address: BlobAddress): void;
  release(): void;
}

export interface HotLimits {
  readonly maxBytes: number;
  readonly maxBlobBytes: number;
}

export function createHotCache({ maxBytes, maxBlobBytes }: HotLimits): HotCache {
  const kept = new Map<BlobAddress, Uint8Array>();
  let used = 0;

  const drop = (address: BlobAddress): void => {
    used -= kept.get(address)?.length ?? 0;
    kept.delete(address);
  };

  return {
    get usedBytes() {
      return used;
    },
    drop,
    get(address) {
      const bytes = kept.get(address);
      if (bytes === undefined) return undefined;
      kept.delete(address);
      kept.set(address, bytes);
      return bytes;
    },
    reserve(size) {
      if (size > maxBlobBytes || size > maxBytes) return undefined;
      for (const oldest of kept.keys()) {
        if (used + size <= maxBytes) break;
        drop(oldest);
      }
      // What is left are reservations of others.
      if (used + size > maxBytes) return undefined;
      used += size;
      let open = true;
      const bytes = new Uint8Array(size);
      return {
        bytes,
        keep(address) {
          open = false;
          drop(address);
          kept.set(address, bytes);
        },
        release() {
          if (open) used -= size;
          open = false;
        },
      };
    },
  };
}
