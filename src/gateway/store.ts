import type { BlobAddress } from '../core/address.ts';
import type { Outlook } from '../http/gates.ts';
import type { ByteRange } from '../http/selection.ts';

/** The metric's reason when a provider returned another shard than was stored. */
export const SHARD_IS_WRONG = 'shard';

/** The metric's reason when there is no key to read with. */
export const SEALED = 'sealed';

/** An object that can be served. It is immutable: the manifest's address stands for exactly these bytes. */
export interface StoredObject {
  readonly manifest: BlobAddress;
  readonly size: number;
  readonly contentType: string;
  /** The manifest's list. */
  readonly providers: readonly string[];
  /**
   * Gives the bytes of a window in order, in pieces that nobody changes. Fetches no chunk that the window does not touch.
   * @throws HoldfastError `Unavailable` or `Corrupt` (`undecodable`); the pieces before are right.
   */
  read(range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** A blob at a provider, known to be what its address says. */
export interface StoredBlob {
  readonly size: number;
  /** Gives the bytes of a window, checked once more as they go by. */
  read(range: ByteRange, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

/** What a gateway reads from. */
export interface ObjectStore {
  /** True without a key: then objects cannot be opened, and only public parts can be seen. */
  readonly sealed: boolean;
  /**
   * @param reference a manifest's address, or a name.
   * @throws HoldfastError `NotFound`; `PermissionDenied` (`sealed`, `not_a_reader`); `ConfigInvalid` (`bad_name`).
   */
  open(reference: string, signal: AbortSignal): Promise<StoredObject>;
  /** The root block of a manifest, which hashes to its address. @throws HoldfastError `NotFound`, `Unavailable`. */
  manifestBlock(address: BlobAddress, signal: AbortSignal): Promise<Uint8Array>;
  /** A blob as a provider keeps it: ciphertext. @throws HoldfastError `NotFound`, `Unavailable`. */
  openBlob(address: BlobAddress, signal: AbortSignal): Promise<StoredBlob>;
  /** What can be done with the providers that answer. */
  outlook(): Promise<Outlook>;
  /** The provider that answered first since the start. */
  firstAnswered(): string | undefined;
}

export interface ChunkAt {
  readonly manifest: BlobAddress;
  readonly chunk: number;
  /** Rewrites every shard of it, though nothing is wrong. */
  readonly force: boolean;
}

/** Repair on request: what is answered is shown as it is. */
export interface Repairs {
  /**
   * Repairs what is due, for a bounded time. It stops when the signal fires, and what was done stays done.
   * @throws HoldfastError `Conflict` (`repair_running`) while this process repairs already; as `vault.repair` does.
   */
  run(signal: AbortSignal): Promise<object>;
  /** @throws HoldfastError `Conflict` (`repair_running`) likewise; as `vault.repairChunk` does. */
  chunk(at: ChunkAt, signal: AbortSignal): Promise<object>;
}

/** What moves objects as a whole: see the commands of these names. */
export type MoveTask =
  | { readonly verb: 'evacuate'; readonly provider: string; readonly minTolerates: number | undefined }
  | {
      readonly verb: 'replace';
      readonly provider: string;
      readonly by: string;
      readonly minTolerates: number | undefined;
    }
  | { readonly verb: 'rebalance' }
  | {
      readonly verb: 'recode';
      readonly code: string;
      /** Undefined: all that have one. */
      readonly name: string | undefined;
      readonly minTolerates: number | undefined;
    };

/** Evacuation and its kin on request: what is answered is shown as it is. */
export interface Moves {
  /** What it would take. @throws HoldfastError as the vault's `planEvacuation` and its kin. */
  plan(task: MoveTask, signal: AbortSignal): Promise<object>;
  /**
   * Does it, for a bounded time; it goes on where it was when it is asked for again.
   * @throws HoldfastError `Conflict` (`repair_running`) while this process repairs or moves already; as the vault's `evacuate`
   * and its kin.
   */
  run(task: MoveTask, signal: AbortSignal): Promise<object>;
}
