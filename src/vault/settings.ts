import type { CatalogOptions } from '../catalog/catalog.ts';
import { type CatalogPolicy, DEFAULT_CATALOG_POLICY } from '../catalog/catalog.ts';
import { configuredCredits, type Settlement } from '../catalog/quota.ts';
import { createLinearCode } from '../coding/erasure/code.ts';
import type { CodeParams } from '../coding/erasure/params.ts';
import type { Config } from '../config/types.ts';
import type { Policy } from '../pipeline/context.ts';
import type { LogSink } from '../providers/layers/log.ts';
import type { AttemptObserver } from '../providers/layers/metrics.ts';
import {
  type EngineMetrics,
  type HousekeepingMetrics,
  type PipelineMetrics,
  type ProviderMetrics,
  type RepairMetrics,
  silentMetrics,
} from '../telemetry/index.ts';
import type { CatalogPolicyInput } from './vault-options.ts';

/** Where figures and warnings of a running vault go. */
export interface Observers {
  readonly pipeline: PipelineMetrics;
  readonly onAttempt: AttemptObserver;
  readonly providers: ProviderMetrics;
  readonly engines: EngineMetrics;
  readonly housekeeping: HousekeepingMetrics;
  readonly repair: RepairMetrics;
  readonly log: LogSink;
}

/** Discards metrics and logs. */
export const silent: Observers = {
  pipeline: silentMetrics.pipeline,
  providers: silentMetrics.providers,
  engines: silentMetrics.engines,
  housekeeping: silentMetrics.housekeeping,
  repair: silentMetrics.repair,
  onAttempt() {},
  log() {},
};

/** The code that the configuration asks for. */
export function codeOf({ erasure, fountain }: Pick<Config, 'erasure' | 'fountain'>): CodeParams {
  const { algorithm, dataShards, localParity, globalParity, parityShards } = erasure;
  if (algorithm !== 'lrc') return { algorithm, dataShards, parityShards };
  const fountainKind = fountain.shards === 0 ? 'none' : fountain.kind;
  const fountainShards = fountainKind === 'none' ? 0 : fountain.shards;
  return { algorithm, dataShards, localParity, globalParity, fountainKind, fountainShards };
}

/** What the pipeline does by the configuration. */
export function policyOf(config: Config): Policy {
  return {
    code: createLinearCode(codeOf(config)),
    fitsCode: true,
    replicaBelowBytes: config.erasure.replicaBelowBytes,
    compression: config.compression.algorithm,
    compressionLevel: config.compression.level,
    packTargetBytes: config.packs.targetBytes,
    minTolerates: config.placement.minTolerates,
    failureDomain: config.placement.failureDomain,
    stallMs: config.limits.stallMs,
    hedgeAfterMs: config.limits.hedgeAfterMs,
    maxInflight: config.limits.maxInflight,
    verifyWrites: config.integrity.verifyWrites,
  };
}

/** What a program chooses of the catalog itself. */
export interface CatalogChoices {
  readonly settlement?: Settlement | undefined;
  readonly policy?: CatalogPolicyInput | undefined;
}

/** What a catalog takes from the configuration, and where its events go. */
export function catalogSettings(
  config: Config,
  { log, providers: health }: Pick<Observers, 'log' | 'providers'>,
  { settlement = configuredCredits, policy }: CatalogChoices = {},
): Pick<CatalogOptions, 'ladder' | 'policy' | 'settlement' | 'log' | 'health'> {
  return {
    ladder: {
      rungs: config.chunks.ladder,
      defaultBytes: config.chunks.defaultBytes,
      targetSeconds: config.chunks.targetSeconds,
    },
    policy: catalogPolicyOf({ ...policy, probe: { timeoutMs: config.limits.probeMs, ...policy?.probe } }),
    settlement,
    health,
    log: ({ type, ...fields }) => log('warn', type, fields),
  };
}

/** The defaults, where the input says nothing. */
export function catalogPolicyOf(input: CatalogPolicyInput = {}): CatalogPolicy {
  const usual = DEFAULT_CATALOG_POLICY;
  return {
    probe: { ...usual.probe, ...input.probe },
    quarantine: { ...usual.quarantine, ...input.quarantine },
    failing: { ...usual.failing, ...input.failing },
    slow: { ...usual.slow, ...input.slow },
    zeroCreditsUnlimited: input.zeroCreditsUnlimited ?? usual.zeroCreditsUnlimited,
  };
}
