import { type AbortOptions, NO_LONGER_NEEDED } from '../core/abort.ts';
import { recordedTime } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { fallbacksIn } from '../manifest/root.ts';
import { type PutOptions, putObject } from '../pipeline/put/put.ts';
import type { PutResult } from '../pipeline/put/put-result.ts';
import type { ObjectInput } from '../pipeline/source.ts';
import { listManifests } from '../records/manifests.ts';
import { type ListObjectsOptions, listNames, type NamePrefix } from '../records/name-listing.ts';
import type { NamedObject } from '../records/name-page.ts';
import { resolveReference } from '../records/names.ts';
import { type AuditOptions, type AuditResult, auditProviders } from '../upkeep/audit/audit.ts';
import { rememberAudit } from '../upkeep/audit/history.ts';
import { type DeleteResult, deleteObject } from '../upkeep/delete.ts';
import type { Leaving } from '../upkeep/evacuate/new-places.ts';
import { type GcOptions, type GcResult, MIN_AGE_MS, scrubProviders } from '../upkeep/gc.ts';
import type { RecodePlan, RecodeResult, RecodeTask } from '../upkeep/recode.ts';
import { type RecoverResult, recoverVault } from '../upkeep/recover/recover.ts';
import type { ChunkRepairResult } from '../upkeep/repair/repair-chunk.ts';
import type { RepairEntry, RepairHistoryOptions } from '../upkeep/repair/repair-log.ts';
import { type ScrubOptions, type ScrubResult, scrubStored } from '../upkeep/scrub/scrub.ts';
import { type ObjectStat, statObject } from '../upkeep/stat.ts';
import { retireUnnamed } from '../upkeep/unnamed.ts';
import { type VerifyOptions, type VerifyResult, verifyObject } from '../upkeep/verify.ts';
import type { ComposedVault } from './assemble.ts';
import {
  evacuateVault,
  forecastEvacuation,
  forecastRebalance,
  forecastRecode,
  rebalanceVault,
  recodeVault,
} from './evacuate.ts';
import { Housekeeping } from './housekeeping.ts';
import { measureAudit, measureScrub } from './measures.ts';
import { PROBE_EVERY_MS, RecentProbe, vaultProviders } from './provider-status.ts';
import { type GetOptions, type ObjectReader, openReader } from './reader.ts';
import { repairChunkOf, repairVault } from './repair.ts';
import { VaultSettling } from './settle.ts';
import type { SettleResult } from './settlement.ts';
import { statusOf } from './status.ts';
import type {
  ChunkOptions,
  EvacuateOptions,
  EvacuateResult,
  EvacuationForecast,
  ListManifestsOptions,
  ManifestEntry,
  PlanEvacuationOptions,
  RebalanceForecast,
  RebalanceOptions,
  RebalanceResult,
  RecodeOptions,
  RepairOptions,
  RepairResult,
  Vault,
  VaultProviders,
  VaultStatus,
} from './vault.ts';
import { acceptOptions, withDefaults } from './vault-options.ts';

const INTERNALS = new WeakMap<Vault, ComposedVault>();

/**
 * What a vault is made of, for the services and commands of this package.
 * @throws HoldfastError `ConfigInvalid` (`bad_option`) for what `openVault` of this package did not make.
 */
export function internalsOf(vault: Vault): ComposedVault {
  const composed = INTERNALS.get(vault);
  if (composed !== undefined) return composed;
  throw new HoldfastError('ConfigInvalid', 'this is no open vault', {
    code: 'bad_option',
    hint: 'Pass what openVault or createVault of the same copy of the package resolves with.',
  });
}

/** See `OpenVaultOptions`. */
interface BackgroundWork {
  readonly background?: 'later' | 'at once' | undefined;
  readonly housekeeping?: boolean | undefined;
}

export class OpenedVault implements Vault {
  readonly providers: VaultProviders;
  readonly #composed: ComposedVault;
  readonly #end = new AbortController();
  readonly #daemon: Promise<void>;
  readonly #recent: RecentProbe;
  readonly #housekeeping: Housekeeping;
  readonly #settling: VaultSettling;
  readonly #anchoring: Promise<void> | undefined;
  #hasPut = false;
  #closing: Promise<void> | undefined;

  constructor(composed: ComposedVault, { background, housekeeping = true }: BackgroundWork) {
    INTERNALS.set(this, composed);
    this.#composed = composed;
    this.#recent = new RecentProbe(composed);
    this.#housekeeping = new Housekeeping(composed);
    this.#settling = new VaultSettling(composed);
    this.providers = vaultProviders(composed, this.#recent);
    this.#daemon = composed.catalog.start({
      signal: this.#end.signal,
      // Who opens a vault for one operation is not to pay for this; a put asks by itself.
      firstAfterMs: background === 'at once' ? 0 : PROBE_EVERY_MS,
      ...(housekeeping ? { onRound: () => this.#housekeeping.start() } : {}),
    });
    this.#anchoring = composed.blobRoots?.run(this.#end.signal);
  }

  get id(): string {
    return this.#composed.context.keys.id;
  }

  async putObject(input: ObjectInput, options: PutOptions = {}): Promise<PutResult> {
    acceptOptions('putObject', options);
    await this.#composed.room.beforeStore();
    // Meanwhile: an error is thrown where the journal needs it.
    this.#composed.context.owner().catch(() => {});
    await this.#recent.renew('put', options.minTolerates, options.signal);
    const result = await putObject(this.#composed.context, input, withDefaults(input, options));
    this.#hasPut = true;
    return this.#changed(result);
  }

  async getObject(reference: string, options?: GetOptions): Promise<ObjectReader> {
    acceptOptions('getObject', options);
    return openReader(this.#composed.context, reference, options);
  }

  async statObject(reference: string, options?: AbortOptions): Promise<ObjectStat> {
    acceptOptions('statObject', options);
    return statObject(this.#composed.context, reference, options);
  }

  listObjects(options?: ListObjectsOptions & { readonly delimiter?: undefined }): AsyncIterable<NamedObject>;
  listObjects(options: ListObjectsOptions): AsyncIterable<NamedObject | NamePrefix>;
  async *listObjects(options?: ListObjectsOptions): AsyncIterable<NamedObject | NamePrefix> {
    acceptOptions('listObjects', options);
    yield* listNames(this.#composed.context, options);
  }

  async deleteObject(reference: string, options?: AbortOptions): Promise<DeleteResult> {
    acceptOptions('deleteObject', options);
    await this.#composed.room.beforeRemoval();
    return this.#changed(await deleteObject(this.#composed.context, reference, options));
  }

  async verifyObject(reference: string, options?: VerifyOptions): Promise<VerifyResult> {
    acceptOptions('verifyObject', options);
    return verifyObject(this.#composed.context, reference, options);
  }

  async *listManifests(options?: ListManifestsOptions): AsyncIterable<ManifestEntry> {
    acceptOptions('listManifests', options);
    for await (const { address, storedMs, root } of listManifests(this.#composed.context, options)) {
      const { chunks, compression, providers, certificate } = root;
      yield {
        manifest: address,
        storedMs,
        chunks,
        code: certificate.code,
        fallback: fallbacksIn(root),
        compression,
        providers,
        certificate,
      };
    }
  }

  async recover(options?: AbortOptions): Promise<RecoverResult> {
    acceptOptions('recover', options);
    return this.#changed(await recoverVault(this.#composed.context, options));
  }

  async gc(options: GcOptions = {}): Promise<GcResult> {
    acceptOptions('gc', options);
    if (options.dryRun !== true) await this.#composed.room.beforeRemoval();
    if (options.dryRun !== true) {
      await retireUnnamed(this.#composed.context, options.minAgeMs ?? MIN_AGE_MS, options);
      await this.#housekeeping.finish(options);
    }
    const tombstoneMs = this.#composed.config.retention.tombstoneDays * DAY_MS;
    return scrubProviders(this.#composed.context, { ...options, tombstoneMs });
  }

  async scrub(options: ScrubOptions = {}): Promise<ScrubResult> {
    acceptOptions('scrub', options);
    const { config, context, observers } = this.#composed;
    const { bytesPerSecond = config.scrub.bytesPerSecond } = options;
    const result = await scrubStored(context, { ...options, bytesPerSecond });
    measureScrub(observers.housekeeping, result);
    return result;
  }

  async audit(options: AuditOptions = {}): Promise<AuditResult> {
    acceptOptions('audit', options);
    const { config, context, observers } = this.#composed;
    const result = await auditProviders(context, { ...options, timeoutMs: config.limits.requestMs });
    measureAudit(observers.housekeeping, result);
    // For people: the audit was made, whether or not it is remembered.
    const { challenges, whole, providers } = result;
    const audit = { atMs: recordedTime(context.clock), challenges, whole, providers };
    await rememberAudit(context, audit).catch(() => {});
    return result;
  }

  async status(options: AbortOptions = {}): Promise<VaultStatus> {
    acceptOptions('status', options);
    return statusOf(this.#composed, options);
  }

  async repair(options: RepairOptions = {}): Promise<RepairResult> {
    acceptOptions('repair', options);
    await this.#composed.room.beforeStore();
    await this.#recent.renew('repair', undefined, options.signal);
    const result = await repairVault(this.#composed, options);
    // What was moved away is deleted by who has the key.
    if (!this.#composed.sealed) this.#housekeeping.start();
    return result;
  }

  async repairChunk(
    reference: string,
    chunk: number,
    options: ChunkOptions = {},
  ): Promise<ChunkRepairResult> {
    acceptOptions('repairChunk', options);
    const { context, sealed, room } = this.#composed;
    if (sealed && !reference.startsWith('b3:')) throw needsAddress();
    const { manifest } = await resolveReference(context, reference, options);
    await room.beforeStore();
    await this.#recent.renew('repair', undefined, options.signal);
    const result = await repairChunkOf(this.#composed, { manifest, chunk }, options);
    if (!sealed) this.#housekeeping.start();
    return result;
  }

  async planEvacuation(from: string, options: PlanEvacuationOptions = {}): Promise<EvacuationForecast> {
    acceptOptions('planEvacuation', options);
    return this.#forecast({ from, ...options }, options);
  }

  async evacuate(from: string, options: EvacuateOptions = {}): Promise<EvacuateResult> {
    acceptOptions('evacuate', options);
    return this.#leave({ from, ...options }, options);
  }

  async planReplacement(
    from: string,
    to: string,
    options: PlanEvacuationOptions = {},
  ): Promise<EvacuationForecast> {
    acceptOptions('planReplacement', options);
    return this.#forecast({ from, to, ...options }, options);
  }

  async replace(from: string, to: string, options: EvacuateOptions = {}): Promise<EvacuateResult> {
    acceptOptions('replace', options);
    return this.#leave({ from, to, ...options }, options);
  }

  async planRebalance(options: AbortOptions = {}): Promise<RebalanceForecast> {
    acceptOptions('planRebalance', options);
    await this.#recent.renew('rebalance', undefined, options.signal);
    return forecastRebalance(this.#composed, options);
  }

  async rebalance(options: RebalanceOptions = {}): Promise<RebalanceResult> {
    acceptOptions('rebalance', options);
    return this.#moving(options, () => rebalanceVault(this.#composed, options));
  }

  async planRecode(task: RecodeTask, options: AbortOptions = {}): Promise<RecodePlan> {
    acceptOptions('planRecode', options);
    await this.#recent.renew('recode', undefined, options.signal);
    return forecastRecode(this.#composed, task, options);
  }

  async recode(task: RecodeTask, options: RecodeOptions = {}): Promise<RecodeResult> {
    acceptOptions('recode', options);
    return this.#moving(options, () => recodeVault(this.#composed, task, options));
  }

  async *repairHistory(options?: RepairHistoryOptions): AsyncIterable<RepairEntry> {
    acceptOptions('repairHistory', options);
    yield* this.#composed.repairLog.history(options);
  }

  async settleReceipts(options: AbortOptions = {}): Promise<SettleResult> {
    acceptOptions('settleReceipts', options);
    return this.#settling.settle(options);
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #changed<R extends Pick<PutResult, 'forks'>>(result: R): R {
    this.#housekeeping.tellOf(result.forks);
    this.#housekeeping.start();
    return result;
  }

  async #forecast(leaving: Leaving, { signal }: AbortOptions): Promise<EvacuationForecast> {
    await this.#recent.renew('evacuate', undefined, signal);
    return forecastEvacuation(this.#composed, leaving, { signal });
  }

  #leave(leaving: Leaving, options: EvacuateOptions): Promise<EvacuateResult> {
    return this.#moving(options, () => evacuateVault(this.#composed, leaving, options));
  }

  async #moving<R>({ signal }: AbortOptions, work: () => Promise<R>): Promise<R> {
    await this.#composed.room.beforeStore();
    await this.#recent.renew('moving', undefined, signal);
    try {
      return await work();
    } finally {
      if (!this.#composed.sealed) this.#housekeeping.start();
    }
  }

  async #shutDown(): Promise<void> {
    this.#end.abort(NO_LONGER_NEEDED);
    await this.#daemon;
    await this.#anchoring;
    // Who puts one object and ends may be all that ever opens this vault.
    if (this.#hasPut) await this.#composed.blobRoots?.drain(DRAIN_MS);
    await this.#housekeeping.end();
    await this.#composed.close();
  }
}

const DAY_MS = 86_400_000;
/** What is not anchored by then is by whoever opens the vault next. */
const DRAIN_MS = 10_000;

const needsAddress = (): HoldfastError =>
  new HoldfastError('PermissionDenied', 'a name takes the key of the vault, and there is none here', {
    code: 'sealed',
    hint: 'Give the address of the manifest: b3: and 64 hex digits.',
  });
