import type { ProviderDirectory } from '../catalog/directory.ts';
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
