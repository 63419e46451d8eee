import { throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { toHex } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';
import { type BlobAdapter, MAX_BLOB_BYTES, type Slot } from '../adapter.ts';
import type { AdapterDeps, Driver, Upload } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { notFound, rangeBeyondEnd, slotConflict } from '../guard.ts';
import { join, MAX_PIECE_BYTES, overFetchLimit } from '../pieces.ts';

export interface MemoryOptions {
  readonly id: string;
  /** Sum of the blobs' lengths above which `store` rejects with `QuotaExceeded`. Default: none. */
  readonly capacityBytes?: number | undefined;
}

/** A provider in this process's memory. `durable` is false: a placement must not count on it. */
export function createMemoryAdapter(options: MemoryOptions & AdapterDeps): BlobAdapter {
  return adapterFromDriver(memoryDriver(options, options), options);
}

/** Blobs in this process's memory, gone with it: for tests, caches and nodes that must not touch a disk. @internal Tests alter it. */
export function memoryDriver(options: MemoryOptions, { clock, random }: AdapterDeps): Driver {
  const capacity = options.capacityBytes ?? Number.POSITIVE_INFINITY;
  const blobs = new Map<BlobAddress, Uint8Array>();
  const slots = new Map<string, Slot>();
  let used = 0;

  const keep = (address: BlobAddress, bytes: Uint8Array): { existed: boolean } => {
    const present = blobs.get(address);
    if (present?.length === bytes.length) return { existed: true };
    const after = used - (present?.length ?? 0) + bytes.length;
    if (after > capacity) throw full(capacity);
    blobs.set(address, bytes);
    used = after;
    return { existed: present !== undefined };
  };
  const find = (address: BlobAddress): Uint8Array => {
    const found = blobs.get(address);
    if (found === undefined) throw notFound();
    return found;
  };

  return {
    id: options.id,
    capabilities: { supportsList: true, supportsSlots: true, durable: false, maxBlobBytes: MAX_BLOB_BYTES },
    async store(address, parts, size) {
      if (used + size > capacity && !blobs.has(address)) throw full(capacity);
      return keep(address, join(parts, size));
    },
    openUpload: async (_address, signal) => memoryUpload(keep, () => capacity - used, signal),
    async fetch(address, maxBytes) {
      const found = find(address);
      if (found.length > maxBytes) throw overFetchLimit(maxBytes);
      return found.slice();
    },
    async fetchRange(address, offset, into, length) {
      const found = find(address);
      if (offset + length > found.length) throw rangeBeyondEnd(offset, length, found.length);
      let at = offset;
      for (const target of into) {
        target.set(found.subarray(at, at + target.length));
        at += target.length;
      }
    },
    async *read(address, offset, length, signal) {
      const found = find(address);
      const end = length === undefined ? found.length : offset + length;
      if (end > found.length) throw rangeBeyondEnd(offset, end - offset, found.length);
      for (let at = offset; at < end; at += MAX_PIECE_BYTES) {
        throwIfAborted(signal);
        yield found.slice(at, Math.min(end, at + MAX_PIECE_BYTES));
      }
    },
    async stat(address) {
      const found = blobs.get(address);
      if (found === undefined) return undefined;
      const seen = { replicasObserved: 1, replicaTarget: 1, lastSeenUnixMs: clock.now() };
      return { size: found.length, ...seen, encoding: 'identity' };
    },
    async delete(address) {
      used -= blobs.get(address)?.length ?? 0;
      blobs.delete(address);
    },
    async *list(prefixHex, after) {
      yield* [...blobs.keys()].filter((at) => at > after && at.startsWith(prefixHex, 3)).sort();
    },
    async probe() {
      const free = capacity === Number.POSITIVE_INFINITY ? {} : { freeBytes: capacity - used };
      return { rttMs: 0, ...free };
    },
    async readSlot(name) {
      const slot = slots.get(name);
      return slot && { bytes: slot.bytes.slice(), version: slot.version };
    },
    async writeSlot(name, bytes, expected) {
      if (slots.get(name)?.version !== expected) throw slotConflict();
      const version = toHex(random(16));
      slots.set(name, { bytes: Uint8Array.from(bytes), version });
      return version;
    },
    async deleteSlot(name) {
      slots.delete(name);
    },
    async *listSlots(after) {
      yield* [...slots.keys()].filter((name) => name > after).sort();
    },
    async close() {
      blobs.clear();
      slots.clear();
    },
  };
}

function memoryUpload(
  keep: (address: BlobAddress, bytes: Uint8Array) => { existed: boolean },
  room: () => number,
  signal: AbortSignal | undefined,
): Upload {
  const pieces: Uint8Array[] = [];
  let size = 0;
  return {
    async write(piece) {
      size += piece.length;
      if (size > room()) throw full(room());
      pieces.push(piece.slice());
    },
    async commit(address) {
      throwIfAborted(signal);
      return keep(address, join(pieces, size));
    },
    async discard() {
      pieces.length = 0;
    },
  };
}

function full(capacityBytes: number): HoldfastError {
  return new HoldfastError('QuotaExceeded', 'the memory provider is full', { context: { capacityBytes } });
}
