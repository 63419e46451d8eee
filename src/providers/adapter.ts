import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';

/**
 * The one contract between Holdfast and a place that keeps blobs.
 *
 * Holds for every method: it rejects with a `HoldfastError` and nothing else; an already-aborted signal rejects
 * with `Aborted` before anything is touched; an abort in mid-flight rejects promptly and leaves nothing partial
 * visible; an address of a scheme outside `acceptedSchemes` rejects with `UnsupportedScheme`, whose `context.accepted`
 * lists those. Methods may be called concurrently, for the same address too. There are no optional methods: what a backend cannot do, its
 * `capabilities` say, and the method rejects with `PermissionDenied`, code `unsupported`.
 *
 * An adapter is never trusted: readers verify what it returns above this line.
 */
export interface BlobAdapter {
  /** Unique within a registry; the provider's id in manifests. */
  readonly adapterId: string;
  /** Address schemes it takes; `['b3']` for all adapters of this package. */
  readonly acceptedSchemes: readonly string[];
  readonly capabilities: AdapterCapabilities;

  /**
   * Stores a blob given as consecutive pieces and resolves once it is durable. The caller has computed the
   * address from these bytes. Idempotent: bytes under an address never change. A blob of the same length that
   * is already there counts as stored, unless `replace` says that it is known to be wrong. Pieces may lie in shared
   * memory and stay untouched until it settles.
   * @throws QuotaExceeded when full, RangeNotSatisfiable over `maxBlobBytes`; PermissionDenied, code `replace_refused`.
   */
  store(address: BlobAddress, parts: readonly Uint8Array[], options?: StoreOptions): Promise<StoreResult>;

  /**
   * Stores a blob of unknown length, hashing as it goes. With an `address`, a mismatch rejects with
   * `HashMismatch` and leaves nothing behind; without, the computed one is returned. The cap is
   * `min(maxBytes, maxBlobBytes)` whatever `sizeHint` says. A piece is used only until the next one is asked for.
   */
  storeStream(
    address: BlobAddress | undefined,
    source: AsyncIterable<Uint8Array>,
    options?: StoreStreamOptions,
  ): Promise<StoreResult & { readonly address: BlobAddress; readonly size: number }>;

  /**
   * The whole blob in one buffer, unverified.
   * @throws NotFound; RangeNotSatisfiable as soon as it is seen to exceed `maxBytes`.
   */
  fetch(address: BlobAddress, options?: FetchOptions): Promise<Uint8Array>;

  /**
   * Fills the buffers of `into`, in order, with the blob's bytes from `offset` on: all of them or an error.
   * The caller's buffers bound the memory, and may lie in shared memory. On failure their content is undefined.
   * Once it has settled, aborted or not, nothing writes into them any more.
   * @throws NotFound; RangeNotSatisfiable when the blob ends before the last buffer is full.
   */
  fetchRange(
    address: BlobAddress,
    offset: number,
    into: readonly Uint8Array[],
    options?: ReadOptions,
  ): Promise<void>;

  /** Streams `[offset, offset + length)` (default: all) in pieces of its own choosing, at most 1 MiB each. */
  fetchStream(address: BlobAddress, options?: FetchStreamOptions): AsyncIterable<Uint8Array>;

  exists(address: BlobAddress, options?: AbortOptions): Promise<boolean>;

  /** Idempotent: deleting what is not there resolves. */
  delete(address: BlobAddress, options?: AbortOptions): Promise<void>;

  /** @throws NotFound */
  stat(address: BlobAddress, options?: AbortOptions): Promise<BlobStat>;

  /**
   * Blobs in ascending order of their addresses, each once. Unfinished and foreign files are never listed.
   * @throws Corrupt, code `listing_disordered` or `listing_too_long`, when the provider does not keep to that.
   */
  list(options?: ListOptions): AsyncIterable<BlobEntry>;

  /** One cheap round trip that proves the provider answers and would take a blob. */
  probe(options?: AbortOptions): Promise<ProbeResult>;

  /** A small mutable cell, or undefined if it was never written. */
  readSlot(name: SlotName, options?: AbortOptions): Promise<Slot | undefined>;

  /**
   * Replaces a slot if its version is still `expected` (undefined: if it does not exist), durably and atomically.
   * @param bytes at most {@link MAX_SLOT_BYTES}.
   * @returns the new version. @throws Conflict when another writer came first; nothing is changed then.
   */
  writeSlot(
    name: SlotName,
    bytes: Uint8Array,
    expected: SlotVersion | undefined,
    options?: AbortOptions,
  ): Promise<SlotVersion>;

  /** Idempotent, like `delete`. */
  deleteSlot(name: SlotName, options?: DeleteSlotOptions): Promise<void>;

  /** Names of slots in ascending order, as for `list`: where recovery starts. */
  listSlots(options?: ListSlotsOptions): AsyncIterable<SlotName>;

  /** Releases connections and handles. Idempotent; other methods reject afterwards. */
  close(): Promise<void>;
}

/** Hard cap of any blob, whatever an adapter or a caller says. */
export const MAX_BLOB_BYTES: number = 16 * 1024 ** 3;
export const MAX_SLOT_BYTES: number = 64 * 1024;
/** A listing that goes on beyond this is a lie. */
export const MAX_LISTED_BLOBS = 1_000_000_000;
export const MAX_LISTED_SLOTS = 10_000_000;
/** What `fetch` accepts when the caller names no `maxBytes`. */
export const DEFAULT_FETCH_BYTES: number = 64 * 1024 ** 2;
const SLOT_NAME = /^[0-9a-f]{16,128}$/;

export interface AdapterCapabilities {
  /** False: `list` rejects, which is not the same as an empty provider. */
  readonly supportsList: boolean;
  readonly supportsSlots: boolean;
  /** True when what was acknowledged outlives the provider's process. */
  readonly durable: boolean;
  /** As far as is known: a server that refuses a blob for its length lowers it. */
  readonly maxBlobBytes: number;
  /** False: who reads a blob while it is replaced may get neither, or a mixture of both. Default true. */
  readonly replacesAtOnce?: boolean;
  /** True: who streams a whole blob is told its length before the first piece (`onSize`). Default false. */
  readonly statesSize?: boolean;
  /** What it surely takes, where that is less: its server may have a limit that it has not told of. */
  readonly sureBlobBytes?: number;
}

export interface StoreResult {
  /** True when the blob had been there before. */
  readonly existed: boolean;
}

export interface StoreOptions extends AbortOptions {
  /**
   * What is there is known to be wrong: the bytes are written whether or not a blob of that length is there already.
   * Whoever reads meanwhile sees the old bytes or the new, never a mixture; unless `replacesAtOnce` is false.
   * `existed` tells whether there was one, of any length.
   */
  readonly replace?: boolean | undefined;
}

/** `replace` needs an address: who knows that a blob is wrong knows which. */
export interface StoreStreamOptions extends StoreOptions {
  /** What the caller believes the length to be; a hint that defeats no limit. */
  readonly sizeHint?: number | undefined;
  readonly maxBytes?: number | undefined;
}

export interface DeleteSlotOptions extends AbortOptions {
  /**
   * Keep nothing of it, not even what stops its old versions from coming back: for a name that nobody else knows and that
   * is never used again. A provider may keep something all the same.
   */
  readonly forget?: boolean | undefined;
}

export interface ReadOptions extends AbortOptions {
  /**
   * There is nowhere else to read it: a provider that is given a rest is to be tried once more. Adapters need not heed
   * it; the circuit breaker does.
   */
  readonly lastResort?: boolean | undefined;
}

export interface FetchOptions extends ReadOptions {
  readonly maxBytes?: number | undefined;
}

export interface FetchStreamOptions extends AbortOptions {
  readonly offset?: number | undefined;
  readonly length?: number | undefined;
  /**
   * Of a whole blob: told how long the provider says it is, before the first piece; again when the read is tried again.
   * An adapter whose capabilities do not say `statesSize` need not call it.
   */
  readonly onSize?: ((size: number) => void) | undefined;
}

export interface ListOptions extends AbortOptions {
  /** Only addresses whose hex digits start with this. */
  readonly prefixHex?: string | undefined;
  /** Only addresses behind this one; what stands before it is not read. */
  readonly after?: BlobAddress | undefined;
  readonly limit?: number | undefined;
  /** Also what the provider tells of each, which may cost it a request or a system call a blob. Default false. */
  readonly details?: boolean | undefined;
}

/** One of a listing. Without `details` maybe no more than the address; with them all that the provider knows. */
export interface BlobEntry {
  readonly address: BlobAddress;
  readonly size?: number;
  /** When these bytes were written there, by the provider's clock: its word, as all of a listing. */
  readonly modifiedUnixMs?: number;
  /** True: the provider was told to keep it, and may drop what it was not. */
  readonly pinned?: boolean;
}

export interface ListSlotsOptions extends AbortOptions {
  readonly after?: SlotName | undefined;
  readonly limit?: number | undefined;
}

export interface BlobStat {
  readonly size: number;
  /** When these bytes were written there, by the provider's clock; absent where it does not tell. */
  readonly modifiedUnixMs?: number;
  /** Opaque; another one whenever the bytes kept may have changed. Absent where the backend cannot tell. */
  readonly revision?: string;
}

export interface ProbeResult {
  readonly rttMs: number;
  /** Free space as the provider states it, if it does. */
  readonly freeBytes?: number;
  /** The time by the provider's clock when it answered, if it states it; to the second. */
  readonly clockUnixMs?: number;
}

/** 16 to 128 lower-case hex digits, derived from the vault key and so opaque to the provider. */
export type SlotName = string;
/** Opaque; equal if and only if the content is the same write. */
export type SlotVersion = string;

export interface Slot {
  readonly bytes: Uint8Array;
  readonly version: SlotVersion;
}

export const isSlotName = (name: string): boolean => SLOT_NAME.test(name);
