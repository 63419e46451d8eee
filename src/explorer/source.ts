import type { BlobAddress } from '../core/address.ts';
import type { CertificateRecord } from '../manifest/certificate.ts';
import type { FallbackUse } from '../manifest/root.ts';

/** Which fallbacks may write new objects. */
interface FallbackPolicy {
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

export interface StoragePolicy {
  readonly erasure: FallbackPolicy;
  readonly compression: FallbackPolicy;
}

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
  /** Newest first. */
  manifests(limit: number, signal: AbortSignal): Promise<readonly ManifestSummary[]>;
  providers(): readonly ProviderSummary[];
  /** The latest repairs, newest first. */
  repairs(limit: number, signal: AbortSignal): Promise<readonly RepairSummary[]>;
  /** What `holdfast status --json` shows. @throws HoldfastError as `vault.status` does. */
  status(signal: AbortSignal): Promise<object>;
}
