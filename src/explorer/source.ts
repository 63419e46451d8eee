import type { BlobAddress } from '../core/address.ts';
import type { CertificateRecord } from '../manifest/certificate.ts';
import type { FallbackUse } from '../manifest/root.ts';

export type { StoragePolicy } from '../config/types.ts';

/** The public part of a manifest. */
export interface ManifestSummary {
  readonly manifest: BlobAddress;
  readonly storedMs: number;
  readonly chunks: number;
  readonly code: string;
  readonly compression: string;
  /** Which fallbacks wrote it. */
  readonly fallback: FallbackUse;
  readonly providers: readonly string[];
  readonly certificate: CertificateRecord;
}

/** Whether a name stands for an object. `unnamed`: it was put without one. `unknown`: without a key nobody can tell. */
type ObjectState = 'current' | 'replaced' | 'removed' | 'unnamed' | 'unknown';

/** An object as a list shows it. */
export interface ObjectRow {
  readonly manifest: BlobAddress;
  readonly storedMs: number;
  /** Undefined: the copy of its root in the state is damaged. */
  readonly summary: Omit<ManifestSummary, 'manifest' | 'storedMs'> | undefined;
  /** Failure domains that may vanish now; −1: a part of it is lost. Undefined: not known yet. */
  readonly tolerates: number | undefined;
  readonly state: ObjectState;
  readonly name: string | undefined;
  /** Of its name, when it stands for this. */
  readonly version: number | undefined;
  readonly size: number | undefined;
  readonly contentType: string | undefined;
}

export interface ObjectsQuery {
  readonly limit: number;
  /** What `next` said: the page behind that one. */
  readonly before: string | undefined;
  /** Only objects that survive at most so many losses now. */
  readonly most: number | undefined;
}

export interface ObjectsPage {
  readonly objects: readonly ObjectRow[];
  /** Undefined: there are no more. */
  readonly next: string | undefined;
}

/** A version of an object's name whose bytes are still kept. */
export interface VersionRow {
  readonly manifest: BlobAddress;
  readonly state: ObjectState;
  /** Since when no name stands for it, and when it is deleted. */
  readonly sinceMs: number | undefined;
  readonly dueMs: number | undefined;
}

export interface ObjectDetail extends ObjectRow {
  /** Of its name, the one that it stands for first. */
  readonly versions: readonly VersionRow[];
}

/** What is left of an object without some providers: by the rule of certificates. */
export interface Remaining {
  readonly certificate: CertificateRecord;
  /** Chunks that cannot be decoded any more. */
  readonly lostChunks: number;
}

/** Where the shards of an object are. */
export interface ShardMap {
  readonly manifest: BlobAddress;
  readonly code: string;
  readonly dataShards: number;
  /** What each shard is. */
  readonly kinds: readonly string[];
  readonly chunks: number;
  readonly providers: readonly {
    readonly id: string;
    /** The failure domain it falls with. */
    readonly domain: string;
    /** Shards of all chunks that it holds. */
    readonly shards: number;
    /** Why it is not counted now. */
    readonly away: string | undefined;
  }[];
  /** Chunks that are placed alike, the most frequent first: for each shard the place of its provider in the list. */
  readonly maps: readonly { readonly chunks: number; readonly places: readonly number[] }[];
  /** Further ways in which chunks are placed. They count, and are not shown. */
  readonly moreMaps: number;
  /** As it was put. */
  readonly certificate: CertificateRecord;
  readonly now: Remaining;
  /** What would be left without those that were asked for too. */
  readonly after: Remaining;
}

/** One attempt to repair a chunk. */
export interface RepairSummary {
  readonly kind: string;
  readonly manifest: BlobAddress;
  readonly segment?: BlobAddress | undefined;
  readonly chunk?: number | undefined;
  readonly status: string;
  readonly bytes: number;
  readonly error?: string | undefined;
  readonly atMs: number;
  readonly nextMs?: number | undefined;
}

/** A part of all that is stored, as it was read back last. */
export interface ScrubRow {
  readonly part: number;
  readonly of: number;
  readonly startedMs: number;
  /** Undefined: it is not done. */
  readonly finishedMs: number | undefined;
  readonly manifests: number;
  readonly segments: number;
  readonly packs: number;
  readonly bytes: number;
  /** Packs and copies of manifest nodes. */
  readonly missing: number;
  readonly corrupt: number;
  /** Shards in packs that are not what was put. */
  readonly rotten: number;
  /** Of which the provider gave no answer. */
  readonly unheard: number;
  /** Manifests of which a part could not be read. */
  readonly unread: number;
  /** Findings for which there was no room. */
  readonly unnoted: number;
}

/** What was found missing or corrupt, and is not mended yet. */
export interface DamageRow {
  readonly manifest: BlobAddress;
  readonly segment: BlobAddress;
  readonly provider: string;
  readonly problem: string;
  /** How many shards of the blob; undefined: all of it. */
  readonly shards: number | undefined;
  readonly foundBy: string;
  readonly sinceMs: number;
}

/** How something of housekeeping last went. */
interface ChoreRow {
  readonly doneMs?: number | undefined;
  readonly failedMs?: number | undefined;
  readonly error?: string | undefined;
  readonly failures: number;
}

/** What was checked, what was found, and what waits. */
export interface Checks {
  /** Those that are not done first, then the latest. */
  readonly scrubs: readonly ScrubRow[];
  /** The latest audits, the newest first. */
  readonly audits: readonly {
    readonly atMs: number;
    readonly challenges: number;
    readonly whole: boolean;
    readonly providers: readonly object[];
  }[];
  readonly damage: { readonly rows: readonly DamageRow[]; readonly more: boolean };
  /** Chunks that could not be repaired, and when they are tried again. */
  readonly waiting: {
    readonly rows: readonly {
      readonly manifest: BlobAddress;
      readonly chunk: number;
      readonly attempts: number;
      readonly nextMs: number;
      readonly error: string;
    }[];
    readonly more: boolean;
  };
  readonly chores: Readonly<Record<string, ChoreRow>>;
  /** Providers at which something of housekeeping failed and was not done since. */
  readonly failing: Readonly<Record<string, ChoreRow>>;
}

/** What the catalog knows of a provider. */
export interface ProviderSummary {
  readonly id: string;
  readonly state: string;
  readonly why: string;
  readonly rttMs?: number | undefined;
  readonly lossRate?: number | undefined;
  readonly successRate?: number | undefined;
  readonly usedBytes?: number | undefined;
  readonly quotaBytes?: number | undefined;
  readonly maintenance?: boolean | undefined;
}

/** Objects by what they survive now, with the providers that are left. */
export interface Overview {
  readonly objects: {
    readonly total: number;
    /** By the failure domains that may still vanish, the fewest first; −1: a part of them is lost already. */
    readonly bySurvival: readonly { readonly tolerates: number; readonly count: number }[];
    /** Objects of which it is not known yet where their shards are. */
    readonly unknown: number;
    /** There are more than were counted. */
    readonly more: boolean;
  };
  /** Providers whose shards were not counted, and why. */
  readonly without: readonly { readonly provider: string; readonly why: string }[];
  /** When it was counted. */
  readonly atMs: number;
}

/** What an operator may see of a vault: public parts, and names where there is a key. */
export interface ExplorerSource {
  /** True without a key: then there are no names. */
  readonly sealed: boolean;
  overview(signal: AbortSignal): Promise<Overview>;
  /** Newest first. Asks no provider. */
  objects(query: ObjectsQuery, signal: AbortSignal): Promise<ObjectsPage>;
  /** Current objects whose names begin with this, in the order of names. Asks no provider. @throws HoldfastError `sealed`. */
  named(prefix: string, limit: number, signal: AbortSignal): Promise<ObjectsPage>;
  /** Asks no provider. @throws HoldfastError `NotFound` (`manifest_not_found`). */
  object(manifest: BlobAddress, signal: AbortSignal): Promise<ObjectDetail>;
  /**
   * May read the manifest's nodes at providers.
   * @param without these providers are taken away.
   * @throws HoldfastError `NotFound` (`manifest_not_found`, `unknown_provider`), `Timeout`; what fetching nodes throws.
   */
  shardMap(manifest: BlobAddress, without: readonly string[], signal: AbortSignal): Promise<ShardMap>;
  /** Newest first. */
  manifests(limit: number, signal: AbortSignal): Promise<readonly ManifestSummary[]>;
  providers(): readonly ProviderSummary[];
  /** The latest repairs, newest first. */
  repairs(limit: number, signal: AbortSignal): Promise<readonly RepairSummary[]>;
  /** Asks no provider. */
  checks(signal: AbortSignal): Promise<Checks>;
  /** The settings in force, without paths and secrets. */
  settings(): object;
  /** What `holdfast status --json` shows. @throws HoldfastError as `vault.status` does. */
  status(signal: AbortSignal): Promise<object>;
}
