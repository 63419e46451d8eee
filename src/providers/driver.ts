import { throwIfAborted } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import type { Clock } from '../core/clock.ts';
import type { RandomBytes } from '../core/random.ts';
import type {
  AdapterCapabilities,
  BlobEntry,
  BlobStat,
  ProbeResult,
  Slot,
  SlotName,
  SlotVersion,
  StoreResult,
} from './adapter.ts';
import { unsupported } from './guard.ts';
import { collect, fill } from './pieces.ts';

/** What every adapter is given by the composition root. */
export interface AdapterDeps {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly blake3: Blake3;
}

/**
 * What differs between kinds of providers. `adapterFromDriver` turns a driver into a `BlobAdapter`: arguments
 * arrive here checked (address, range, size, slot name, capability, not closed, not yet aborted), and what is thrown here
 * leaves with provider and operation named. A driver obeys the signal and settles soon after it fires.
 */
export interface Driver {
  readonly id: string;
  /** Address schemes it takes. Default: `b3` alone. */
  readonly schemes?: readonly string[] | undefined;
  readonly capabilities: AdapterCapabilities;

  /** @param size sum of the lengths of `parts`. @param replace see `StoreOptions`. */
  store(
    address: BlobAddress,
    parts: readonly Uint8Array[],
    size: number,
    signal: AbortSignal | undefined,
    replace: boolean,
  ): Promise<StoreResult>;

  /**
   * Begins a blob whose bytes follow piece by piece. @param address undefined until `commit` where unknown.
   * @param replace see `StoreOptions`; the address is known then.
   */
  openUpload(
    address: BlobAddress | undefined,
    signal: AbortSignal | undefined,
    replace: boolean,
  ): Promise<Upload>;

  fetch(address: BlobAddress, maxBytes: number, signal: AbortSignal | undefined): Promise<Uint8Array>;

  /** @param length sum of the lengths of `into`, at least 1. */
  fetchRange(
    address: BlobAddress,
    offset: number,
    into: readonly Uint8Array[],
    length: number,
    signal: AbortSignal | undefined,
  ): Promise<void>;

  /** Without `length` the whole blob (`offset` is 0 then). A body cut short must throw. @param onSize see `FetchStreamOptions`. */
  read(
    address: BlobAddress,
    offset: number,
    length: number | undefined,
    signal: AbortSignal | undefined,
    onSize?: (size: number) => void,
  ): AsyncIterable<Uint8Array>;

  /** Undefined when it is not there. */
  stat(address: BlobAddress, signal: AbortSignal | undefined): Promise<BlobStat | undefined>;
  delete(address: BlobAddress, signal: AbortSignal | undefined): Promise<void>;
  /**
   * Ascending. @param prefixHex may be empty. @param after where to begin, itself not included; may be empty.
   * @param details see `ListOptions`.
   */
  list(
    prefixHex: string,
    after: BlobAddress | '',
    details: boolean,
    signal: AbortSignal | undefined,
  ): AsyncIterable<BlobEntry>;
  probe(signal: AbortSignal | undefined): Promise<ProbeResult>;

  readSlot(name: SlotName, signal: AbortSignal | undefined): Promise<Slot | undefined>;
  writeSlot(
    name: SlotName,
    bytes: Uint8Array,
    expected: SlotVersion | undefined,
    signal: AbortSignal | undefined,
  ): Promise<SlotVersion>;
  /** @param forget see `DeleteSlotOptions`. */
  deleteSlot(name: SlotName, signal: AbortSignal | undefined, forget: boolean): Promise<void>;
  /** Ascending, from behind `after`. */
  listSlots(after: SlotName | '', signal: AbortSignal | undefined): AsyncIterable<SlotName>;

  close(): Promise<void>;
}

/** One blob on its way in. Ends with a `commit` that resolved or, after any failure, with `discard`, which never throws. */
export interface Upload {
  write(piece: Uint8Array): Promise<void>;
  /** Makes the blob visible and durable under `address`, which its bytes were found to have. */
  commit(address: BlobAddress, size: number): Promise<StoreResult>;
  discard(): Promise<void>;
}

/** The reading methods of a driver that reads piece by piece. */
export const readsOf = (read: Driver['read']): Pick<Driver, 'fetch' | 'fetchRange' | 'read'> => ({
  read,
  fetch: (address, maxBytes, signal) => collect(read(address, 0, undefined, signal), maxBytes),
  fetchRange: (address, offset, into, length, signal) =>
    fill(read(address, offset, length, signal), into, signal),
});

/** An upload that is kept in memory and stored as a whole: for small `maxBlobBytes` only. */
export function bufferedUpload(
  store: Driver['store'],
  signal: AbortSignal | undefined,
  replace: boolean,
): Upload {
  const pieces: Uint8Array[] = [];
  return {
    write: async (piece) => {
      pieces.push(piece.slice());
    },
    commit: async (address, size) => {
      throwIfAborted(signal, 'storeStream');
      return store(address, pieces, size, signal, replace);
    },
    discard: async () => {
      pieces.length = 0;
    },
  };
}

const refuse = async (): Promise<never> => unsupported('slots');

/** Of a driver whose backend has no atomic operation to build slots of. */
export const noSlots: Pick<Driver, 'readSlot' | 'writeSlot' | 'deleteSlot' | 'listSlots'> = {
  readSlot: refuse,
  writeSlot: refuse,
  deleteSlot: refuse,
  listSlots: () => unsupported('slots'),
};
