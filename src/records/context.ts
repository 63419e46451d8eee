import type { ProviderDirectory } from '../catalog/directory.ts';
import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import type { RandomBytes } from '../core/random.ts';
import type { Engine } from '../engine/engine.ts';
import type { VaultKeys } from '../keys/derivation.ts';
import type { ObjectContext, ObjectProviders } from '../object/context.ts';

/** What keeping a vault's records takes. */
export interface RecordsContext extends ObjectContext {
  readonly keys: VaultKeys;
  readonly engine: Engine;
  readonly random: RandomBytes;
  /** This run, as journals name it; resolves once others would be told of its death. */
  readonly owner: () => Promise<string>;
  readonly directory: RecordsProviders;
}

/** The providers, as far as the records concern them. */
type RecordsProviders = ObjectProviders & Pick<ProviderDirectory, 'deleted' | 'flush' | 'recount'>;

/** A version that no name stands for any more. */
export interface RetiredVersion {
  readonly manifest: BlobAddress;
  readonly why: 'replaced' | 'removed';
  /** Of the name that stood for it; undefined if none did. */
  readonly nameKey: string | undefined;
  /** When it was retired, and when its blobs may go. */
  readonly sinceMs: number;
  readonly dueMs: number;
  /** How often that was tried in vain. */
  readonly attempts: number;
  /** Of the latest attempts those, without a gap, that found a node damaged wherever it is, and when the first was. */
  readonly lost?: { readonly attempts: number; readonly sinceMs: number } | undefined;
  /** Some of its blobs may be deleted, and counted as such. */
  readonly begun?: boolean | undefined;
  /** What must be closed first: until then the providers may not know what took its place. */
  readonly journal: string | undefined;
}

/** What becomes of the content of a version that its name stands for no longer. The one way in which any goes. */
export interface Retention {
  /** How long the content of a version is kept after another took its place, in milliseconds. */
  readonly replacedMs: number;
  /**
   * Deletes what a version consists of, unless a name stands for it, and then its record. What cannot be deleted now
   * stays recorded, to be tried again when it is due; so it does when the call is cut off.
   * @throws HoldfastError `Aborted`; what the engine throws.
   */
  retire(version: RetiredVersion, options?: AbortOptions): Promise<Retired>;
}

export interface Retired {
  /** Blobs that were deleted at once. */
  readonly deleted: number;
  /** … and those that are deleted later, because their provider did not answer. */
  readonly queued: number;
  /** Nodes that were damaged wherever they were: what they led to is not known. */
  readonly lost?: number | undefined;
  /** Why nothing could be deleted now; it is tried again. */
  readonly postponed?: string | undefined;
}

export interface WithRetention {
  readonly retention: Retention;
}
