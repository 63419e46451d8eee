import type { NodeCatalog } from '../../src/catalog/catalog.ts';
import { DEFAULT_CATALOG_POLICY } from '../../src/catalog/catalog.ts';
import { createPunctuality, directoryOf } from '../../src/catalog/directory.ts';
import { openNodeCatalog } from '../../src/catalog/node-catalog.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { DEFAULT_LADDER } from '../../src/profiles/ladder.ts';
import { withLayers } from '../../src/providers/layers/with-layers.ts';
import { type FaultyVault, faultyVault } from '../helpers/faulty.ts';
import type { TestVaultOptions } from '../helpers/vault.ts';
import { deps } from '../providers/conform.ts';

export interface Watched extends FaultyVault {
  readonly context: VaultContext;
  readonly catalog: NodeCatalog;
}

export interface WatchedOptions extends TestVaultOptions {
  /** By provider. */
  readonly credits?: readonly (number | undefined)[];
}

/** A vault in memory with all layers and the real catalog. */
export async function watchedVault(options: WatchedOptions = {}): Promise<Watched> {
  let index = 0;
  const policy = { stallMs: 1_500, ...options.policy };
  const vault = await faultyVault({ ...options, policy }, (adapter) =>
    withLayers(options.wrap?.(adapter, index++) ?? adapter, {
      ...deps,
      onAttempt() {},
      log() {},
      maxAttempts: 2,
      maxConcurrency: 16,
    }),
  );
  const catalog = await openNodeCatalog({
    providers: vault.providers,
    engine: vault.context.engine,
    clock: systemClock,
    ladder: DEFAULT_LADDER,
    policy: DEFAULT_CATALOG_POLICY,
    settlement: {
      balanceSplit: async ({ id }) => ({
        configured: options.credits?.[vault.providers.findIndex((provider) => provider.id === id)],
        earned: 0,
      }),
    },
  });
  const context = {
    ...vault.context,
    directory: directoryOf(catalog, systemClock, createPunctuality(systemClock)),
  };
  return { ...vault, context, catalog };
}
