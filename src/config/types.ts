import type { EngineName } from '../engine/engine.ts';
import type { DomainLabels, ProviderEntry } from '../providers/provider.ts';

/** The configuration as the program sees it: complete, checked, frozen. Sizes in bytes, names as in the file. */
export interface Config {
  /** The file it was read from, for messages. */
  readonly file: string;
  /** Where state is kept; relative provider roots start here. */
  readonly home: string;
  readonly chunks: ChunksConfig;
  readonly compression: CompressionConfig;
  readonly encryption: EncryptionConfig;
  readonly erasure: ErasureConfig;
  readonly fountain: FountainConfig;
  readonly packs: PacksConfig;
  readonly integrity: IntegrityConfig;
  readonly placement: PlacementConfig;
  readonly retention: RetentionConfig;
  readonly scrub: ScrubConfig;
  readonly limits: LimitsConfig;
  readonly repair: RepairConfig;
  readonly rollout: RolloutConfig;
  readonly engine: EngineConfig;
  readonly node: NodeConfig;
  readonly gateway: GatewayConfig;
  readonly daemon: DaemonConfig;
  readonly settlement: SettlementConfig;
  readonly receipts: ReceiptsConfig;
  readonly anchor: AnchorConfig;
  /** At least one; ids and roots are distinct. */
  readonly providers: readonly ProviderConfig[];
  /** What objects are put with now, and which fallbacks could be. */
  readonly policy: StoragePolicy;
  /** Not errors, but to be logged at start-up. */
  readonly warnings: readonly ConfigWarning[];
}

/** What one kind of work is done with, and whether its fallback may write now. */
export interface FallbackPolicy {
  /** In force for what is put now. */
  readonly algorithm: string;
  readonly fallback: string;
  /** The fallback may write now: where it needs the emergency switch, that is set. */
  readonly fallbackAllowed: boolean;
  /** Why not, or null. */
  readonly refused: string | null;
  /** Permitted fallbacks stay off until the operator sets the switch. */
  readonly needsEmergencySwitch: boolean;
  /** The fallback is allowed only because the switch is set. */
  readonly emergency: boolean;
}

/** What new objects are written with. */
export interface StoragePolicy {
  readonly erasure: FallbackPolicy;
  readonly compression: FallbackPolicy;
}

export interface ConfigWarning {
  /** Stable, so that programs can tell warnings apart. */
  readonly code: string;
  readonly message: string;
}

export type ChunkMode = 'adaptive';

export interface ChunksConfig {
  readonly mode: ChunkMode;
  /** Length a provider without a profile starts at; one of the ladder's rungs. */
  readonly defaultBytes: number;
  /** Ascending chunk lengths. */
  readonly ladder: readonly number[];
  readonly targetSeconds: number;
}

export type CompressionAlgorithm = 'none' | 'zstd' | 'deflate' | 'rle' | 'lz77-rle';

export interface CompressionConfig {
  readonly algorithm: CompressionAlgorithm;
  readonly level: number;
}

export interface EncryptionConfig {
  readonly algorithm: 'chacha20-poly1305';
}

/** Small objects are replicated whatever this says. */
export type ErasureAlgorithm = 'lrc' | 'reed-solomon' | 'xor';

export interface ErasureConfig {
  readonly algorithm: ErasureAlgorithm;
  readonly dataShards: number;
  /** `lrc` only. */
  readonly localParity: number;
  /** `lrc` only. */
  readonly globalParity: number;
  /** `reed-solomon` and `xor` only. */
  readonly parityShards: number;
  /** Objects of up to this many bytes are stored as replicas; 0 codes everything. */
  readonly replicaBelowBytes: number;
}

export type FountainKind = 'wide' | 'pair' | 'none';

/** The overlay of `lrc`. */
export interface FountainConfig {
  readonly kind: FountainKind;
  readonly shards: number;
}

export interface PacksConfig {
  readonly targetBytes: number;
}

export interface IntegrityConfig {
  /** How much of what a put computes is checked before it is acknowledged. */
  readonly verifyWrites: 'off' | 'sample' | 'full';
}

export interface PlacementConfig {
  readonly minTolerates: number;
  readonly failureDomain: keyof DomainLabels;
}

export interface RetentionConfig {
  /** How long the content of a version is kept after another took its place. */
  readonly replacedSeconds: number;
  /** How long a removal is remembered, so that a provider that was away does not bring the name back. */
  readonly tombstoneDays: number;
  /** How long what an interrupted put had stored is kept, so that it can be taken up again. */
  readonly unfinishedHours: number;
}

export interface ScrubConfig {
  /** Whether a daemon, or a gateway that hosts it, scrubs and audits by itself. */
  readonly enabled: boolean;
  /** It reads a part every day, and all once in so many. */
  readonly everyDays: number;
  /** What a scrub reads at most, all providers together. */
  readonly bytesPerSecond: number;
}

export interface LimitsConfig {
  /** The arena all chunks in flight live in. */
  readonly memoryBytes: number;
  /** 0: as many as the machine has cores. */
  readonly maxWorkers: number;
  /** Provider requests in flight, all providers together. */
  readonly maxInflight: number;
  /** Attempts of one request, the first included. */
  readonly maxAttempts: number;
  /** Deadline of one attempt of a request. */
  readonly requestMs: number;
  readonly probeMs: number;
  /** How long a put waits for a provider far behind the others before it settles for surviving fewer losses. */
  readonly stallMs: number;
  /** After how long another is read beside one, where nothing was measured yet that tells who is late. */
  readonly hedgeAfterMs: number;
}

export interface RepairConfig {
  /** Whether a daemon, or a gateway that hosts it, repairs by itself. */
  readonly enabled: boolean;
  readonly intervalSeconds: number;
  /** Chunks at once. */
  readonly maxConcurrent: number;
  /** What one worker may read, write and read back for repair, together. */
  readonly bytesPerSecond: number;
  /** The same of all workers of an engine together. */
  readonly clusterBytesPerSecond: number;
  /** What may be read for repair from one provider on one day, by UTC, and read back; objects with no loss left to give are exempt. */
  readonly egressPerDay: number;
  /** A provider that was silent so long is taken for lost; 0: only the operator says so. */
  readonly lostAfterHours: number;
  /** Absolute or from the home; empty: `repair_log` in the home. */
  readonly logDir: string;
}

export interface RolloutConfig {
  readonly allowFallbackCoder: boolean;
  readonly allowFallbackCompressor: boolean;
  readonly requireEmergencySwitch: boolean;
  readonly emergencySwitchEnv: string;
}

export interface EngineConfig {
  readonly default: EngineName;
  /** Table name to engine. */
  readonly overrides: Readonly<Record<string, EngineName>>;
  /** Records stay where the release before kept them; `default` and `overrides` say so then. */
  readonly storageLegacyMode: boolean;
  /** The environment variable that holds the URL of the PostgreSQL database. */
  readonly postgresUrlEnv: string;
  /** A file that holds it, readable by its owner only; "" for none. */
  readonly postgresUrlFile: string;
  readonly postgresSchema: string;
  readonly postgresConnections: number;
  /** Longest time of one statement. */
  readonly postgresStatementMs: number;
  /** Longest time of an operation, a restart of the server included. */
  readonly postgresWaitMs: number;
  /** A process that is not heard of for so long is taken for dead. */
  readonly postgresLeaseMs: number;
}

/** What every service takes. Paths are absolute or from the home; an empty text stands for none. */
export interface ServingConfig {
  /** `HOST:PORT`. */
  readonly bind: string;
  readonly unix: string;
  readonly tlsCert: string;
  readonly tlsKey: string;
  readonly clientCa: string;
  readonly tokenFile: string;
  /** A path, `-` for standard error, or `off`. */
  readonly accessLog: string;
  readonly maxInflight: number;
  /** 0: not limited. */
  readonly maxRps: number;
  /** 0: not limited. */
  readonly maxClientRps: number;
  readonly maxConnections: number;
  /** 0: not limited. */
  readonly maxClientConnections: number;
  readonly maxPipelined: number;
  /** Host names by which clients may call it. */
  readonly allowedHosts: readonly string[];
  readonly headersMs: number;
  readonly requestMs: number;
  readonly idleMs: number;
  readonly keepAliveMs: number;
  readonly graceMs: number;
  readonly minBytesPerSecond: number;
  readonly drainMs: number;
}

export interface NodeConfig extends ServingConfig {
  readonly root: string;
  /** Empty: the folder's own. */
  readonly id: string;
  /** Ids of `[[providers]]` to serve in place of a folder, the first of them the one that is asked first. */
  readonly backends: readonly string[];
  readonly amnesia: boolean;
  readonly amnesiaBytes: number;
  readonly maxBodyBytes: number;
  readonly maxForeignBodyBytes: number;
  readonly cacheBytes: number;
  readonly cacheBlobBytes: number;
  readonly minFreeBytes: number;
}

export interface GatewayConfig extends ServingConfig {
  readonly public: boolean;
  /** It serves a site from an origin of its own. */
  readonly static: boolean;
  readonly sealed: boolean;
  /** It repairs as a daemon does, where `repair.enabled` lets it. */
  readonly withRepair: boolean;
  readonly nameMaxAgeSeconds: number;
  /** Reads a second of one path; 0: not limited. */
  readonly maxPathRps: number;
  /** For opened manifests; 0: none is kept. */
  readonly manifestCacheBytes: number;
  /** For decoded chunks; 0: none is kept. */
  readonly chunkCacheBytes: number;
}

export interface DaemonConfig extends ServingConfig {
  readonly sealed: boolean;
}

/** Who is credited for reads, and how much. 1 credit is 1 MiB of quota. */
export interface SettlementConfig {
  /** Whether a ledger is kept, and quotas follow from it. */
  readonly enabled: boolean;
  /** Folders of receipts, of as many gateways; absolute or from the home. */
  readonly folders: readonly string[];
  /** All that was ever put into the pool that reads are credited from. More is a refill. */
  readonly poolCredits: number;
  /** Thousandths of `poolCredits` that one hour of one gateway may earn. */
  readonly epochShare: number;
  /** Thousandths of that, which one provider may earn of it. */
  readonly providerShare: number;
  /** Different keys of readers without which a provider earns nothing in an hour. */
  readonly minReaders: number;
  /** Depth at which an anchored root counts; 0: what is usual for the anchor. */
  readonly confirmations: number;
  /** Between two looks of a daemon or a gateway. */
  readonly intervalSeconds: number;
  /** Bytes of credit for each stored MiB and hour; 0: there is no rent. */
  readonly rentBytesPerMib: number;
  /** All that was ever put into the escrow that rent is paid from. */
  readonly escrowCredits: number;
}

/** What a gateway writes down of reads. */
export interface ReceiptsConfig {
  /** One gateway's alone; absolute or from the home. Empty: no receipts. */
  readonly folder: string;
  /** So long after its end a read is waited for to be acknowledged. */
  readonly ackSeconds: number;
  /** Ended reads that are waited for. */
  readonly maxOpenReads: number;
  /** What a read may be served for, as its `Host` says. */
  readonly domains: readonly string[];
  /** What it is served for where that says another; empty: nothing. */
  readonly defaultDomain: string;
  /** Denied reads a second that are written down one by one. */
  readonly denialsPerSecond: number;
}

/** Where roots go that nobody may change unseen. */
export interface AnchorConfig {
  readonly kind: 'none' | 'local' | 'evm';
  /** Whether roots of stored objects are anchored too. */
  readonly objects: boolean;
  /** `evm`: depth at which a root counts; 0: what is usual. */
  readonly confirmations: number;
  /** `local`: of the log, absolute or from the home; empty: `anchor` in the home. */
  readonly folder: string;
  /** `local`: name of the log; empty: made of its key. */
  readonly origin: string;
  /** `evm`: JSON-RPC of a node. */
  readonly url: string;
  readonly chainId: number;
  readonly contract: string;
  /** `evm`: where the key of the account is that pays: a file, or else a variable of the environment. */
  readonly keyEnv: string;
  readonly keyFile: string;
  /** `evm`: most that a unit of gas may cost, in 10⁹ wei. */
  readonly maxFeeGwei: number;
  /** `evm`: so long may a transaction wait until a dearer one takes its place. */
  readonly stuckSeconds: number;
}

export type ProviderConfig = ProviderEntry;
