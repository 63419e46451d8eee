import type { AbortOptions } from '../core/abort.ts';
import type { Clock } from '../core/clock.ts';
import type { HoldfastError } from '../core/errors.ts';
import type { Engine } from '../engine/engine.ts';
import type { ChunkLadder } from '../profiles/ladder.ts';
import type { ProbeMode } from '../profiles/observe.ts';
import type { Provider } from '../providers/provider.ts';
import type { FailureKind, LastFailure } from './failures.ts';
import type { Settlement } from './quota.ts';

/** The registered providers, what is known of them, and who may take new shards. */
export interface NodeCatalog {
  readonly providers: readonly Provider[];

  /** Providers that may take `bytes` more, best first, and for each of the others why not. */
  eligible(request: { readonly bytes: number }): Eligibility;
  /** All providers, best first: also those left out may be read from. */
  ranked(): readonly RankedProvider[];
  /** One record per provider, in the order of registration. */
  snapshot(): readonly ProviderSnapshot[];
  /** How long a provider has answered nothing, in milliseconds; 0 where it does, or was never asked. */
  silentMs(providerId: string): number;
  /** Length of the next chunk that the provider leads, in bytes. */
  preferredChunk(providerId: string): number;
  /**
   * How long a transfer of `bytes` takes when it is as slow as the slowest 5 % of recent ones; what lasts longer is
   * worth racing. Undefined while too few transfers have been seen.
   */
  p95Ms(providerId: string, direction: 'store' | 'read', bytes: number): number | undefined;

  /** What the pipeline saw. Keeps to memory: nothing is written before the next flush. */
  report(providerId: string, outcome: Outcome): void;

  /** Probes every provider once. A provider that fails its probe is a result, not an error. @throws Aborted. */
  probeAll(options?: ProbeAllOptions): Promise<readonly ProbeReport[]>;
  /**
   * The same on the way to something else, so that many commands in a row count as one probe. Resolves soon after those
   * have answered that may take new shards, or are so late that the others' answers say they may not come; the others
   * are probed on without being waited for.
   */
  probeCandidates(options: CandidateOptions): Promise<void>;
  /** Probes one, on the way to something else. @throws Aborted. */
  probe(providerId: string, options?: AbortOptions): Promise<ProbeReport>;
  /**
   * For as long as the process lives: probes and flushes at the policy's interval, and takes over what others stored
   * every few seconds. Resolves once the signal fires. Call once.
   */
  start(options: CatalogDaemon): Promise<void>;
  /** Takes over what other processes stored, and the credits. */
  refresh(options?: AbortOptions): Promise<void>;
  /** Stored durably, and undone only by the same call: also processes that are running now heed it at their next probe. */
  setMaintenance(providerId: string, on: boolean, options?: AbortOptions): Promise<void>;
  /** Stores what was observed since the last time. On failure nothing is lost and the next flush tries again. */
  flush(options?: AbortOptions): Promise<void>;
  /**
   * Replaces what is stored of the bytes at each provider by what `count` finds, 0 for those that it does not name.
   * @returns false when it found nothing out, or somebody changed what is stored meanwhile: then try again later.
   */
  recount(count: () => Promise<ReadonlyMap<string, number> | undefined>): Promise<boolean>;
  /** Flushes. The engine and the adapters belong to the caller and stay open. Idempotent. */
  close(): Promise<void>;
}

export interface ProbeAllOptions extends AbortOptions {
  /** What the probes count as. Default `regular`. */
  readonly mode?: ProbeMode | undefined;
  /**
   * Report a provider as silent once it is long behind the others, instead of at the deadline. Its probe goes on until the
   * signal fires. Default false.
   */
  readonly untilLate?: boolean | undefined;
}

export interface CatalogDaemon {
  readonly signal: AbortSignal;
  /** When to probe first. Default: at once. */
  readonly firstAfterMs?: number | undefined;
  /** Called after each round of probes. */
  readonly onRound?: (() => void) | undefined;
}

export interface CandidateOptions extends AbortOptions {
  /** Whether the caller can do without these, which are late. */
  readonly canSpare: (late: readonly string[]) => boolean;
}

export interface CatalogOptions {
  readonly providers: readonly Provider[];
  readonly engine: Engine;
  readonly clock: Clock;
  readonly ladder: ChunkLadder;
  readonly policy: CatalogPolicy;
  readonly settlement: Settlement;
  /** Told after each probe. */
  readonly health?: ProviderHealth | undefined;
  readonly log?: ((event: CatalogEvent) => void) | undefined;
}

/** Where figures of providers go. */
export interface ProviderHealth {
  providerHealth(provider: string, rttMs: number, lossRate: number): void;
  /** @param count 0 when the provider is first known. */
  providerFailures(provider: string, kind: FailureKind, count: number): void;
}

export type CatalogEvent =
  | {
      readonly type: 'quarantined' | 'returned' | 'maintenance_on' | 'maintenance_off';
      readonly provider: string;
      readonly why: string;
    }
  | {
      readonly type: 'profile_unreadable' | 'usage_unreadable' | 'settlement_failed' | 'round_failed';
      readonly provider?: string;
      readonly error: HoldfastError;
    };

export type Outcome =
  | {
      readonly type: 'stored';
      readonly bytes: number;
      readonly elapsedMs: number;
      readonly rttMs?: number | undefined;
      /** Chunks of which shards were stored. Default 1. */
      readonly chunks?: number | undefined;
      /** The provider had the blob before: it is not counted against the quota again. */
      readonly existed?: boolean | undefined;
    }
  | { readonly type: 'read'; readonly bytes: number; readonly elapsedMs: number }
  /** What it means, `failureKind` says; `QuotaExceeded` also says that the provider is full. */
  | {
      readonly type: 'store_failed' | 'read_failed';
      readonly error: unknown;
      /** Bytes that were under way, and for how long. */
      readonly bytes?: number | undefined;
      readonly elapsedMs?: number | undefined;
    }
  | { readonly type: 'deleted'; readonly bytes: number };

export const SKIP_REASONS = [
  'maintenance',
  'profile_unreadable',
  'quarantined',
  'unreachable',
  'over_quota',
  'full',
  'lying',
  'denied',
  'recently_failing',
] as const;

/** Why a provider gets no new shards, and is not worth waiting for either. */
export const SILENT_REASONS: ReadonlySet<SkipReason> = new Set([
  'quarantined',
  'unreachable',
  'denied',
  'recently_failing',
]);
/** Why it gets no new shards, and is read as well as any other. */
export const ROOM_REASONS: ReadonlySet<SkipReason> = new Set(['over_quota', 'full']);

export type SkipReason = (typeof SKIP_REASONS)[number];

export interface Skip {
  readonly reason: SkipReason;
  /** One clause for a person, with the figures. */
  readonly why: string;
}

export interface Eligibility {
  readonly candidates: readonly RankedProvider[];
  /** Of those left out, who would be a candidate but for something that was gone or altered there lately. */
  readonly doubtful: readonly DoubtfulProvider[];
  readonly leftOut: readonly SkippedProvider[];
}

export interface RankedProvider {
  readonly provider: Provider;
  /** (1 − loss) · success rate / RTT, less for each race lost lately. */
  readonly score: number;
}

export interface DoubtfulProvider extends RankedProvider {
  /** Most of what it was asked for lately it did rightly. */
  readonly isMostlyRight: boolean;
}

export interface SkippedProvider extends Skip {
  readonly provider: Provider;
}

export interface ProbeReport {
  readonly provider: string;
  /** Undefined when the probe failed. */
  readonly rttMs: number | undefined;
  readonly error: string | undefined;
}

/** What `holdfast providers` shows. Undefined figures have not been measured. */
export interface ProviderSnapshot {
  readonly id: string;
  readonly state: 'ok' | 'unprobed' | SkipReason;
  readonly why: string;
  readonly score: number;
  readonly rttMs: number | undefined;
  readonly lossRate: number;
  readonly successRate: number;
  readonly bytesPerSecond: number | undefined;
  readonly preferredChunk: number;
  readonly totalChunks: number;
  readonly totalFailures: number;
  /** Races lost, and answers that were not what had been acknowledged. */
  readonly totalSlow: number;
  readonly totalLies: number;
  readonly usedBytes: number;
  /** Undefined: unlimited, or not known, which `why` says. */
  readonly quotaBytes: number | undefined;
  /** Credits earned by serving; undefined: not known. */
  readonly earnedCredits: number | undefined;
  /** Those and the configured ones; undefined: unlimited, or not known. */
  readonly balanceCredits: number | undefined;
  readonly freeBytes: number | undefined;
  readonly maintenance: boolean;
  readonly updatedAt: number;
  /** Whatever came after it. */
  readonly lastFailure: LastFailure | undefined;
}

/** What the operator allows; the defaults are those of config/storage.toml. */
export interface CatalogPolicy {
  readonly probe: {
    readonly intervalMs: number;
    /** How often a long-lived process takes over what others stored. */
    readonly refreshMs: number;
    readonly timeoutMs: number;
    /** Probes under way at once. */
    readonly concurrency: number;
  };
  readonly quarantine: {
    /** A provider whose probe loss is over this is quarantined; one failed probe in a good history makes 0.2. */
    readonly maxLoss: number;
    readonly maxRttMs: number;
    /** Good probes in a row that let a provider back once its averages are within the limits. */
    readonly returnAfter: number;
  };
  readonly failing: {
    /** Recent failed transfers from which on a provider is left alone ... */
    readonly count: number;
    /** ... for this long after the last of them, and as long after a lie or a refusal of this process's credentials. */
    readonly cooldownMs: number;
  };
  /** How long a lost race is held against a provider that has not succeeded since. */
  readonly slow: { readonly rememberMs: number };
  /** Whether 0 configured credits mean no limit. */
  readonly zeroCreditsUnlimited: boolean;
}

export const DEFAULT_CATALOG_POLICY: CatalogPolicy = {
  probe: { intervalMs: 30_000, refreshMs: 5_000, timeoutMs: 5_000, concurrency: 32 },
  quarantine: { maxLoss: 0.5, maxRttMs: 2_000, returnAfter: 3 },
  failing: { count: 3, cooldownMs: 60_000 },
  slow: { rememberMs: 600_000 },
  zeroCreditsUnlimited: false,
};
