import { throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { toHex } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';
import {
  type AdapterCapabilities,
  type BlobAdapter,
  type BlobEntry,
  type BlobStat,
  MAX_BLOB_BYTES,
  type ProbeResult,
  type Slot,
  type SlotName,
  type SlotVersion,
  type StoreResult,
} from '../adapter.ts';
import type { AdapterDeps, Driver, Upload } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { notFound, rangeBeyondEnd, slotConflict } from '../guard.ts';
import { join, MAX_PIECE_BYTES, overFetchLimit } from '../pieces.ts';

export interface MemoryOptions {
  readonly id: string;
  /** Sum of the blobs' lengths above which `store` rejects with `QuotaExceeded`. Default: none. */
  readonly capacityBytes?: number | undefined;
}

type Signal = AbortSignal | undefined;

/** A provider in this process's memory. `durable` is false: a placement must not count on it. */
export function createMemoryAdapter(options: MemoryOptions & AdapterDeps): BlobAdapter {
  return adapterFromDriver(new MemoryDriver(options, options), options);
}

interface Kept {
  readonly bytes: Uint8Array;
  readonly modifiedUnixMs: number;
}

/**
 * Blobs in this process's memory, gone with it: for tests, caches and nodes that must not touch a disk.
 * @internal Tests alter it.
 */
export class MemoryDriver implements Driver {
  readonly id: string;
  readonly capabilities: AdapterCapabilities = {
    supportsList: true,
    supportsSlots: true,
    durable: false,
    maxBlobBytes: MAX_BLOB_BYTES,
  };
  readonly #deps: AdapterDeps;
  readonly #capacity: number;
  readonly #blobs = new Map<BlobAddress, Kept>();
  readonly #slots = new Map<SlotName, Slot>();
  #used = 0;

  constructor(options: MemoryOptions, deps: AdapterDeps) {
    this.id = options.id;
    this.#deps = deps;
    this.#capacity = options.capacityBytes ?? Number.POSITIVE_INFINITY;
  }

  async store(
    address: BlobAddress,
    parts: readonly Uint8Array[],
    size: number,
    _signal: Signal,
    replace: boolean,
  ): Promise<StoreResult> {
    if (this.#used + size > this.#capacity && !this.#blobs.has(address)) throw full(this.#capacity);
    return this.#keep(address, join(parts, size), replace);
  }

  async openUpload(address: BlobAddress | undefined, signal: Signal, replace: boolean): Promise<Upload> {
    const pieces: Uint8Array[] = [];
    let size = 0;
    return {
      write: async (piece) => {
        const room = this.#capacity - this.#used + (replace && address ? this.#lengthOf(address) : 0);
        size += piece.length;
        if (size > room) throw full(room);
        pieces.push(piece.slice());
      },
      commit: async (found) => {
        throwIfAborted(signal);
        return this.#keep(found, join(pieces, size), replace);
      },
      discard: async () => {
        pieces.length = 0;
      },
    };
  }

  async fetch(address: BlobAddress, maxBytes: number): Promise<Uint8Array> {
    const found = this.#find(address);
    if (found.length > maxBytes) throw overFetchLimit(maxBytes);
    return found.slice();
  }

  async fetchRange(
    address: BlobAddress,
    offset: number,
    into: readonly Uint8Array[],
    length: number,
  ): Promise<void> {
    const found = this.#find(address);
    if (offset + length > found.length) throw rangeBeyondEnd(offset, length, found.length);
    let at = offset;
    for (const target of into) {
      target.set(found.subarray(at, at + target.length));
      at += target.length;
    }
  }

  async *read(
    address: BlobAddress,
    offset: number,
    length: number | undefined,
    signal: Signal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const found = this.#find(address);
    const end = length === undefined ? found.length : offset + length;
    if (end > found.length) throw rangeBeyondEnd(offset, end - offset, found.length);
    for (let at = offset; at < end; at += MAX_PIECE_BYTES) {
      throwIfAborted(signal);
      yield found.slice(at, Math.min(end, at + MAX_PIECE_BYTES));
    }
  }

  async stat(address: BlobAddress): Promise<BlobStat | undefined> {
    const found = this.#blobs.get(address);
    return found && { size: found.bytes.length, modifiedUnixMs: found.modifiedUnixMs };
  }

  async delete(address: BlobAddress): Promise<void> {
    this.#used -= this.#lengthOf(address);
    this.#blobs.delete(address);
  }

  async *list(prefixHex: string, after: BlobAddress | ''): AsyncGenerator<BlobEntry, void, undefined> {
    const addresses = [...this.#blobs.keys()].filter((at) => at > after && at.startsWith(prefixHex, 3));
    for (const address of addresses.sort()) {
      const found = this.#blobs.get(address);
      if (found === undefined) continue;
      yield { address, size: found.bytes.length, modifiedUnixMs: found.modifiedUnixMs };
    }
  }

  async probe(): Promise<ProbeResult> {
    const free =
      this.#capacity === Number.POSITIVE_INFINITY ? {} : { freeBytes: this.#capacity - this.#used };
    return { rttMs: 0, ...free };
  }

  async readSlot(name: SlotName): Promise<Slot | undefined> {
    const slot = this.#slots.get(name);
    return slot && { bytes: slot.bytes.slice(), version: slot.version };
  }

  async writeSlot(
    name: SlotName,
    bytes: Uint8Array,
    expected: SlotVersion | undefined,
  ): Promise<SlotVersion> {
    if (this.#slots.get(name)?.version !== expected) throw slotConflict();
    const version = toHex(this.#deps.random(16));
    this.#slots.set(name, { bytes: Uint8Array.from(bytes), version });
    return version;
  }

  async deleteSlot(name: SlotName): Promise<void> {
    this.#slots.delete(name);
  }

  async *listSlots(after: SlotName | ''): AsyncGenerator<SlotName, void, undefined> {
    yield* [...this.#slots.keys()].filter((name) => name > after).sort();
  }

  async close(): Promise<void> {
    this.#blobs.clear();
    this.#slots.clear();
  }

  #lengthOf(address: BlobAddress): number {
    return this.#blobs.get(address)?.bytes.length ?? 0;
  }

  #keep(address: BlobAddress, bytes: Uint8Array, replace: boolean): StoreResult {
    const present = this.#blobs.get(address)?.bytes;
    if (present?.length === bytes.length && !replace) return { existed: true };
    const after = this.#used - (present?.length ?? 0) + bytes.length;
    if (after > this.#capacity) throw full(this.#capacity);
    this.#blobs.set(address, { bytes, modifiedUnixMs: this.#deps.clock.now() });
    this.#used = after;
    return { existed: present !== undefined };
  }

  #find(address: BlobAddress): Uint8Array {
    const found = this.#blobs.get(address);
    if (found === undefined) throw notFound();
    return found.bytes;
  }
}

function full(capacityBytes: number): HoldfastError {
  return new HoldfastError('QuotaExceeded', 'the memory provider is full', { context: { capacityBytes } });
}
