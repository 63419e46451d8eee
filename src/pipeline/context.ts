import type { CodecName } from '../coding/compress/codec.ts';
import type { LinearCode } from '../coding/erasure/code.ts';
import type { AbortOptions } from '../core/abort.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import type { Clock } from '../core/clock.ts';
import type { Hedge } from '../core/hedge.ts';
import type { RandomBytes } from '../core/random.ts';
import type { Engine } from '../engine/engine.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';
import type { DomainLevel } from '../placement/domains.ts';
import type { Provider } from '../providers/provider.ts';
import type { PipelineMetrics } from '../telemetry/index.ts';
import type { Arena } from './arena.ts';
import type { CpuStage } from './cpu/jobs.ts';

/** The providers as the pipeline sees them. */
export interface ProviderDirectory {
  /** All that are registered, whatever their state. */
  all(): readonly Provider[];
  get(id: string): Provider | undefined;
  /** Those that may take new shards, best first, and why the others may not. */
  forStore(): {
    readonly eligible: readonly Provider[];
    /** Of each of them; the higher, the better. Default: all alike. */
    readonly scores?: readonly number[] | undefined;
    readonly leftOut: readonly LeftOut[];
  };
  /** Why so many bytes more are not to go there, e.g. for its quota; undefined when they may. */
  noRoom(id: string, bytes: number): string | undefined;
  /** Relative cost of reading a byte there now; larger for slow or failing ones. */
  readCost(id: string): number;
  /** Chunk length that suits the provider, bytes of plaintext. */
  preferredChunk(id: string): number;
  /**
   * How long a transfer takes when it is as slow as the slowest 5 % of the provider's recent ones; undefined while too
   * few were seen.
   */
  usualMs(id: string, operation: 'store' | 'fetch', bytes: number): number | undefined;
  /**
   * It was asked and let others answer long before it. Reads go elsewhere until it is heard of, and what can wait is put
   * off, if that was not only for a moment.
   * @param afterMs how long it had had; default: long.
   */
  late(id: string, afterMs?: number): void;
  /** It answered, if only that it has nothing. */
  heard(id: string): void;
  /** Whether others are better asked first, for it was late. */
  isLate(id: string): boolean;
  /** Whether a request that can wait is worth sending now: false while it failed lately, did not answer or was late. */
  worthAsking(id: string): boolean;
  /** Whether the provider answers a probe in about the time that its probes usually take. @throws Aborted. */
  answers(id: string, options?: AbortOptions): Promise<boolean>;
  /** Bytes of shards that are no longer there; gives quota back. */
  deleted(id: string, bytes: number): void;
  /** What a transfer came to; feeds profiles and ranking. */
  report(id: string, outcome: TransferOutcome): void;
  /** Writes what was observed, so that it outlives this process however it ends. */
  flush(): Promise<void>;
  /**
   * Replaces what is stored of the bytes at each provider by what `count` finds.
   * @returns false when that was nothing, or somebody changed it meanwhile.
   */
  recount(count: () => Promise<ReadonlyMap<string, number> | undefined>): Promise<boolean>;
}

export interface LeftOut {
  readonly id: string;
  readonly why: string;
}

export interface TransferOutcome {
  readonly operation: 'store' | 'fetch';
  readonly bytes: number;
  readonly elapsedMs: number;
  /** Chunks of which a store held shards. */
  readonly chunks?: number | undefined;
  /** Why it failed, if it did. */
  readonly error?: unknown;
}

/** A shard → provider map: element s is a place in the list of providers it was made for. */
export type ShardMap = Uint8Array;

/** Policy in force, from the configuration. */
export interface Policy {
  readonly code: LinearCode;
  /** Objects up to this many bytes are kept as replicas. */
  readonly replicaBelowBytes: number;
  readonly compression: CodecName;
  readonly compressionLevel: number;
  readonly packTargetBytes: number;
  readonly minTolerates: number;
  readonly failureDomain: DomainLevel;
  /** How long a put waits for a provider far behind the others before it settles for surviving fewer losses. */
  readonly stallMs: number;
  /** Requests in flight, all providers together. */
  readonly maxInflight: number;
  /** How much of what a put computes is checked before it is acknowledged. */
  readonly verifyWrites: VerifyWrites;
}

export type VerifyWrites = 'off' | 'sample' | 'full';

/** What every operation of a vault works with; built once by whoever composes the program. */
export interface VaultContext {
  readonly keys: VaultKeys;
  /** This run, as journals name it; resolves once others would be told of its death. */
  readonly owner: () => Promise<string>;
  readonly engine: Engine;
  readonly directory: ProviderDirectory;
  readonly arena: Arena;
  readonly cpu: CpuStage;
  readonly blake3: Blake3;
  /** Another implementation than {@link blake3}, where there is one. */
  secondBlake3(): Promise<Blake3>;
  readonly clock: Clock;
  /** For manifest nodes, of which any copy will do. */
  readonly nodeReads: Hedge;
  readonly random: RandomBytes;
  readonly metrics: PipelineMetrics;
  readonly policy: Policy;
}
