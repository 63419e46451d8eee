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

/** What becomes of the content of a version that its name stands for no longer. The one way in which any goes. */
export interface Retention {
  /**
   * Nothing points to the manifest any more: a newer version replaced it, or somebody removed it. May be cut off: a sweep
   * of the journal calls it again.
   */
  retire(manifest: BlobAddress, why: 'replaced' | 'removed', options?: AbortOptions): Promise<Retired>;
}

export interface Retired {
  /** Blobs that were deleted at once. */
  readonly deleted: number;
  /** … and those that are deleted later, because their provider did not answer. */
  readonly queued: number;
}

export interface WithRetention {
  readonly retention: Retention;
}
