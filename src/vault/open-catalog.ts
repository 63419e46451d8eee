import type { CatalogEvent, NodeCatalog, ProviderHealth } from '../catalog/catalog.ts';
import { openNodeCatalog } from '../catalog/node-catalog.ts';
import { configuredCredits, type Settlement } from '../catalog/quota.ts';
import { SCHEMA } from '../config/schema.ts';
import { systemClock } from '../core/clock.ts';
import { checkOptions } from '../core/options.ts';
import { createMemoryEngine, type Engine } from '../engine/index.ts';
import type { Provider } from '../providers/provider.ts';
import { catalogPolicyOf } from './settings.ts';
import { type CatalogPolicyInput, checkCatalogPolicy } from './vault-options.ts';

export interface OpenCatalogOptions {
  /** Their ids are distinct. Closed by their owner, after the catalog. */
  readonly providers: readonly Provider[];
  /** Where profiles and usage are kept. Closed by its owner, after the catalog. Default: in memory. */
  readonly engine?: Engine | undefined;
  /** Who knows what each provider's quota is. Default: the providers' own `credits`. */
  readonly settlement?: Settlement | undefined;
  /** How providers are probed and judged, where that is to be otherwise than by default. */
  readonly policy?: CatalogPolicyInput | undefined;
  /** Told after each probe. */
  readonly health?: ProviderHealth | undefined;
  /** Told of what changes, and of what goes wrong and is survived. */
  readonly log?: ((event: CatalogEvent) => void) | undefined;
}

/**
 * A catalog of providers without a vault: probes them, ranks them, and says which may take new data. Nothing is asked
 * of them before `probeAll` or `start`.
 * @throws HoldfastError `ConfigInvalid` (`unknown_option`, `bad_option`, or two providers of one id).
 */
export async function openCatalog(options: OpenCatalogOptions): Promise<NodeCatalog> {
  checkOptions<OpenCatalogOptions>('openCatalog', options, {
    providers: true,
    engine: true,
    settlement: true,
    policy: true,
    health: true,
    log: true,
  });
  const { providers, engine = createMemoryEngine(), settlement = configuredCredits, policy } = options;
  checkCatalogPolicy('policy', policy);
  const { ladder, defaultBytes, targetSeconds } = SCHEMA.chunks;
  return openNodeCatalog({
    providers,
    engine,
    settlement,
    clock: systemClock,
    policy: catalogPolicyOf(policy),
    ladder: {
      rungs: ladder.default,
      defaultBytes: defaultBytes.default,
      targetSeconds: targetSeconds.default,
    },
    health: options.health,
    log: options.log,
  });
}
