import type { ProbeReport, ProviderSnapshot } from '../catalog/catalog.ts';
import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import type { FallbackUse } from '../manifest/root.ts';
import type { PutOptions } from '../pipeline/put/put.ts';
import type { PutResult } from '../pipeline/put/put-result.ts';
import type { ObjectInput } from '../pipeline/source.ts';
import type { Certificate } from '../placement/certificate.ts';
import type { LostHour } from '../receipts/settlement/anchor-watch.ts';
import type { ListObjectsOptions, NamePrefix } from '../records/name-listing.ts';
import type { NamedObject } from '../records/name-page.ts';
import type { AuditOptions, AuditResult } from '../upkeep/audit/audit.ts';
import type { DeleteResult } from '../upkeep/delete.ts';
import type { EvacuationProgress, EvacuationRunResult } from '../upkeep/evacuate/evacuate.ts';
import type { EvacuationPlan } from '../upkeep/evacuate/evacuation-plan.ts';
import type { RebalancePlan, RebalanceRunResult } from '../upkeep/evacuate/rebalance.ts';
import type { GcOptions, GcResult } from '../upkeep/gc.ts';
import type { RecodePlan, RecodeResult, RecodeTask } from '../upkeep/recode.ts';
import type { RecoverResult } from '../upkeep/recover/recover.ts';
import type { WhyLost } from '../upkeep/repair/lost.ts';
import type { ChunkRepairResult } from '../upkeep/repair/repair-chunk.ts';
import type { RepairEntry, RepairHistoryOptions } from '../upkeep/repair/repair-log.ts';
import type { RepairRunResult } from '../upkeep/repair/repair-run.ts';
import type { ScrubOptions, ScrubResult } from '../upkeep/scrub/scrub.ts';
import type { ObjectStat } from '../upkeep/stat.ts';
import type { Upkeep } from '../upkeep/status.ts';
import type { DamageStatus, NamesStatus, ScrubStatus, Survival } from '../upkeep/survival.ts';
import type { VerifyOptions, VerifyResult } from '../upkeep/verify.ts';
import type { GetOptions, ObjectReader } from './reader.ts';
import type { SettleResult } from './settlement.ts';

/** A listed manifest: what of it everyone may see. */
export interface ManifestEntry {
  readonly manifest: BlobAddress;
  readonly storedMs: number;
  readonly chunks: number;
  /** The erasure code's name. */
  readonly code: string;
  /** Whether the coder, or the compressor, that stands in for another was used. */
  readonly fallback: FallbackUse;
  readonly compression: string;
  readonly providers: readonly string[];
  /** As it was put. */
  readonly certificate: Certificate;
}

export interface ListManifestsOptions extends AbortOptions {
  /** As many at the most. Default: all. */
  readonly limit?: number | undefined;
}

/**
 * A client's objects on many providers. Methods may be called concurrently. A `signal` in the last argument ends the
 * work with `Aborted`. A `reference` is a name, or a manifest's address. An option that does not exist is refused with
 * `ConfigInvalid` (`unknown_option`).
 */
export interface Vault {
  /** What the vault is told apart by; derived from its key. */
  readonly id: string;
  /** Its providers: their state, probes, maintenance. */
  readonly providers: VaultProviders;
  /**
   * Stores one object, visible only once all of it is acknowledged and the certificate holds; a failure or an abort
   * before leaves everything as it was. A name that stood for another object stands for this one then. A `File` brings
   * its name, a `Blob` its type, where the options name none.
   * @throws HoldfastError `Unavailable` (`not_enough_providers`), `PermissionDenied` (`certificate_shortfall`),
   * `ConfigInvalid` (`bad_name`, `bad_content_type`, `bad_source`), `Aborted`, and what the source throws.
   */
  putObject(input: ObjectInput, options?: PutOptions): Promise<PutResult>;
  /**
   * Opens an object, or a part of it; nothing of its content is read before it is asked for.
   * @throws HoldfastError `NotFound`, `RangeNotSatisfiable`, `PermissionDenied` (`not_a_reader`), `Unavailable`,
   * `Corrupt`.
   */
  getObject(reference: string, options?: GetOptions): Promise<ObjectReader>;
  /** What is known of an object without reading it. @throws HoldfastError `NotFound`. */
  statObject(reference: string, options?: AbortOptions): Promise<ObjectStat>;
  /**
   * Names that stand for something, in the order of their UTF-8 bytes, each once. Of names that are written or removed
   * meanwhile it may see either state. With a `delimiter` it lists as a folder does: see {@link NamePrefix}.
   */
  listObjects(options?: ListObjectsOptions & { readonly delimiter?: undefined }): AsyncIterable<NamedObject>;
  listObjects(options: ListObjectsOptions): AsyncIterable<NamedObject | NamePrefix>;
  /**
   * Removes first the name, durably, then the blobs; what cannot be deleted now is queued and tried again.
   * @throws HoldfastError `NotFound`.
   */
  deleteObject(reference: string, options?: AbortOptions): Promise<DeleteResult>;
  /**
   * Reads back every shard and checks it. Changes nothing.
   * @throws HoldfastError `NotFound`; `Corrupt` when the manifest itself is not authentic; `Aborted`.
   */
  verifyObject(reference: string, options?: VerifyOptions): Promise<VerifyResult>;
  /** The manifests of this vault, newest first. */
  listManifests(options?: ListManifestsOptions): AsyncIterable<ManifestEntry>;
  /** Rebuilds names and manifests from the providers, with nothing but the key. */
  recover(options?: AbortOptions): Promise<RecoverResult>;
  /**
   * Finishes what interrupted commands left, then looks for blobs that nothing leads to, and deletes them where no other
   * vault can have stored them. Safe beside other processes. A provider that fails is a result, not an error.
   * @throws HoldfastError `Aborted`.
   */
  gc(options?: GcOptions): Promise<GcResult>;
  /**
   * Reads back what should be at the providers, of all objects or of a part, and notes for repair what is missing or rotten.
   * Needs no key. One that was cut off is gone on with. A provider that gives no answer is a result, and no damage.
   * @throws HoldfastError `ConfigInvalid` (`bad_option`); `Aborted`.
   */
  scrub(options?: ScrubOptions): Promise<ScrubResult>;
  /**
   * Asks providers for shards chosen at random, so many that one that dropped a share of them is caught with the confidence that
   * is asked for. Needs no key. What is wrong is noted for repair. A provider that does not answer is a result, not an error.
   * @throws HoldfastError `ConfigInvalid` (`bad_option`); `NotFound` (`unknown_provider`); `Aborted`.
   */
  audit(options?: AuditOptions): Promise<AuditResult>;
  /**
   * What is left to be done, what stands in its way, and whether this state is the latest. Answers within a few seconds,
   * though all providers hang. @throws HoldfastError `Aborted`.
   */
  status(options?: AbortOptions): Promise<VaultStatus>;
  /**
   * Rebuilds what was lost with providers that are gone for good, or was found missing or rotten, and puts it where objects
   * survive most: once, all that is due, the most endangered first, within the limits of the configuration. Needs no key. What
   * fails is a result, not an error, and is tried again later. @throws HoldfastError `Aborted`.
   */
  repair(options?: RepairOptions): Promise<RepairResult>;
  /**
   * Repairs one chunk of an object now, counted from 0, though it has to wait after a failure. A name takes the key, an address
   * does not. What fails is a result, not an error.
   * @throws HoldfastError `NotFound` (`name_not_found`, `manifest_not_found`, `chunk_not_found`); `Conflict` (`segment_leased`)
   * while another repairs it; `QuotaExceeded` (`egress_cap`); `PermissionDenied` (`sealed`); `Unavailable`; `Aborted`.
   */
  repairChunk(reference: string, chunk: number, options?: ChunkOptions): Promise<ChunkRepairResult>;
  /**
   * What `evacuate` will take; by the index of shards, asking no provider but whether it answers.
   * @throws HoldfastError `NotFound` (`unknown_provider`); `Aborted`.
   */
  planEvacuation(provider: string, options?: PlanEvacuationOptions): Promise<EvacuationForecast>;
  /**
   * Brings all that a provider holds of objects to others, where they survive most; first it is put in maintenance, which
   * lasts. Nothing is moved that would survive fewer losses then. Needs no key. One that was cut off goes on where it was
   * when it is run again; what fails is a result, not an error.
   * @throws HoldfastError `PermissionDenied` (`certificate_shortfall`) when all of it would survive fewer losses;
   * `Unavailable` (`not_enough_providers`) when nobody takes any; `NotFound` (`unknown_provider`); `Aborted`.
   */
  evacuate(provider: string, options?: EvacuateOptions): Promise<EvacuateResult>;
  /** What `replace` will take. @throws HoldfastError as `planEvacuation`. */
  planReplacement(old: string, by: string, options?: PlanEvacuationOptions): Promise<EvacuationForecast>;
  /** As `evacuate`, but all shards go to one other provider. */
  replace(old: string, by: string, options?: EvacuateOptions): Promise<EvacuateResult>;
  /** What `rebalance` will move, and what the providers hold then. @throws HoldfastError `Aborted`. */
  planRebalance(options?: AbortOptions): Promise<RebalanceForecast>;
  /**
   * Moves packs from the fullest providers to the emptiest, of those that take new shards, until all are within a tenth of the
   * mean; no object survives fewer losses then. Needs no key. What fails is a result, not an error. @throws HoldfastError `Aborted`.
   */
  rebalance(options?: RebalanceOptions): Promise<RebalanceResult>;
  /** What `recode` will take, by what the records have of each object. @throws HoldfastError as `recode`. */
  planRecode(task: RecodeTask, options?: AbortOptions): Promise<RecodePlan>;
  /**
   * Puts one object, or all that have a name, anew with another erasure code: a new version of each, with another ETag. It takes
   * the key. The old version goes as any that was replaced; one that was put meanwhile stays. Run again it passes over what is
   * done. What fails is a result, not an error. @throws HoldfastError `ConfigInvalid` (`bad_code`, `bad_reference`); `NotFound`
   * (`name_not_found`); `PermissionDenied` (`sealed`); `Unavailable` (`not_enough_providers`); `Aborted`.
   */
  recode(task: RecodeTask, options?: RecodeOptions): Promise<RecodeResult>;
  /**
   * What repair did of late, the newest first: about two weeks of it, by all processes on this machine. With the state in
   * memory only what this vault did since it was opened.
   */
  repairHistory(options?: RepairHistoryOptions): AsyncIterable<RepairEntry>;
  /**
   * Sees that the hours which gateways closed are anchored, and credits what was read in them once they are: in the folders
   * of the configuration. What is done it does not do again, whoever calls it. What fails is a result, not an error.
   * @throws HoldfastError `ConfigInvalid` (`settlement_off`); `Corrupt` (`ledger_damaged`); `Aborted`.
   */
  settleReceipts(options?: AbortOptions): Promise<SettleResult>;
  /** Flushes and lets go of everything. Idempotent. */
  close(): Promise<void>;
  /** As `close`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A vault as `holdfast status` shows it. */
export interface VaultStatus extends Upkeep {
  /** What the objects survive now, without the providers that are lost. */
  readonly survival: Survival;
  /** Providers that are taken for gone for good, and why. */
  readonly lost: readonly LostProvider[];
  /** Whether the copies of names outlive as many losses as their objects. */
  readonly names: NamesStatus;
  /** What was found missing or rotten, and is not mended yet. */
  readonly damage: DamageStatus;
  /** Packs that shards are being moved to, and packs that they were moved away from. */
  readonly moves: { readonly intended: number; readonly leaving: number };
  /** Undefined: none was ever done. */
  readonly scrub: ScrubStatus | undefined;
  /** Hours of receipts that were credited, and that their anchor did not have any more when it was asked last. */
  readonly lostHours: readonly LostHour[];
  /** Whether the room that removals need on a full disk is kept free; undefined: the state lies on no disk. */
  readonly reserve: boolean | undefined;
}

/** What may be said of a repair that is asked for. */
export interface RepairOptions extends AbortOptions {
  /** Told whenever a segment is done. */
  readonly onProgress?: ((sum: RepairRunResult) => void) | undefined;
}

/** What may be said of the repair of one chunk. */
export interface ChunkOptions extends AbortOptions {
  /** Rewrites every shard of it, though nothing is wrong, but for those at providers that take none now. Default false. */
  readonly force?: boolean | undefined;
}

export interface RepairResult extends RepairRunResult {
  /** Providers that are taken for gone for good, and why. */
  readonly lost: readonly LostProvider[];
  /** Some of what is lost may not have been seen: not all is indexed, or the time that it was given was over. */
  readonly incomplete: boolean;
}

export interface PlanEvacuationOptions extends AbortOptions {
  /** So many losses are enough, though it be fewer than now. Default: as many as now. */
  readonly minTolerates?: number | undefined;
}

export interface EvacuateOptions extends PlanEvacuationOptions {
  /** Told whenever a segment or an object is done. */
  readonly onProgress?: ((sum: EvacuationProgress) => void) | undefined;
}

export interface EvacuationForecast extends EvacuationPlan {
  /** Not everything is known of where shards are: there may be more. */
  readonly incomplete: boolean;
}

export interface EvacuateResult extends EvacuationRunResult {
  /** Not everything is known of where shards are: some of what is there may not have been seen. */
  readonly incomplete: boolean;
}

export interface RebalanceOptions extends AbortOptions {
  /** Told whenever a pack is moved; how many were. */
  readonly onProgress?: ((packs: number) => void) | undefined;
}

export interface RebalanceForecast extends RebalancePlan {
  /** To all providers, at least. */
  readonly requests: number;
  /** By the pace of repair. */
  readonly ms: number;
  /** Not everything is known of where shards are. */
  readonly incomplete: boolean;
}

export interface RebalanceResult extends RebalanceRunResult {
  /** Not everything is known of where shards are. */
  readonly incomplete: boolean;
}

export interface RecodeOptions extends AbortOptions {
  /** Told how many bytes of the objects were read. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

export interface LostProvider {
  readonly provider: string;
  readonly why: WhyLost;
}

/** A provider as `holdfast providers` shows it. */
export interface ProviderStatus extends ProviderSnapshot {
  /** The kind of its adapter, e.g. `s3`. */
  readonly kind: string;
}

/** The providers of a vault. */
export interface VaultProviders {
  /**
   * One entry per provider, in the order of the configuration: what is known of it, and whether new shards go there.
   * Probes first those that may take new shards if that was not done lately, as a put does.
   */
  list(options?: AbortOptions): Promise<readonly ProviderStatus[]>;
  /**
   * Probes every provider once, because somebody wants to know: one that answers well leaves quarantine. A provider that
   * does not answer is a result, not an error. @throws HoldfastError `Aborted`.
   */
  probe(options?: AbortOptions): Promise<readonly ProbeReport[]>;
  /**
   * Takes a provider for gone for good, or takes that back: it gets no new shards, and the next repair rebuilds elsewhere
   * what it held. Stored durably. It need not be configured any more.
   */
  setLost(id: string, on: boolean, options?: AbortOptions): Promise<void>;
  /**
   * Keeps new shards from a provider, or lets them go there again; what it holds stays readable. Stored durably, and
   * heeded by processes that are running now at their next probe.
   * @throws HoldfastError `NotFound` (`unknown_provider`).
   */
  setMaintenance(id: string, on: boolean, options?: AbortOptions): Promise<void>;
}
