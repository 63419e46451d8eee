import { type CatalogOptions, configuredCredits, DEFAULT_CATALOG_POLICY } from '../catalog/index.ts';
import type { Config } from '../config/types.ts';
import type { LogSink } from '../providers/layers/log.ts';

/** What a catalog takes from the configuration, and where its events go. */
export function catalogSettings(
  config: Config,
  log: LogSink,
): Pick<CatalogOptions, 'ladder' | 'policy' | 'settlement' | 'log'> {
  return {
    ladder: {
      rungs: config.chunks.ladder,
      defaultBytes: config.chunks.defaultBytes,
      targetSeconds: config.chunks.targetSeconds,
    },
    policy: {
      ...DEFAULT_CATALOG_POLICY,
      probe: { ...DEFAULT_CATALOG_POLICY.probe, timeoutMs: config.limits.probeMs },
    },
    settlement: configuredCredits,
    log: ({ type, ...fields }) => log('warn', type, fields),
  };
}
