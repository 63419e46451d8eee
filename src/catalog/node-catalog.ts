import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import { asHoldfastError, HoldfastError, isHoldfastError } from '../core/errors.ts';
import { standings } from '../core/standing.ts';
import { checkLadder } from '../profiles/ladder.ts';
import type { Observation } from '../profiles/observe.ts';
import type { Provider } from '../providers/provider.ts';
import type {
  CandidateOptions,
  CatalogDaemon,
  CatalogOptions,
  DoubtfulProvider,
  Eligibility,
  NodeCatalog,
  Outcome,
  ProbeAllOptions,
  ProbeReport,
  ProviderSnapshot,
  RankedProvider,
  SkippedProvider,
} from './catalog.ts';
import { CatalogEntry } from './entry.ts';
import { FAILURE_KINDS, type FailureKind, failureKind, isGrave, lastFailure } from './failures.ts';
import { CatalogPersistence } from './persistence.ts';
import { probeUntilLate, runDaemon } from './probe-rounds.ts';
import { probeEntries, probeEntry } from './probing.ts';
import { isOtherwiseOut, score, skipOf, snapshotOf } from './rank.ts';

/** Share of what a provider was asked for lately, see the profile's weights. */
const MOSTLY = 0.5;

/**
 * Loads what is stored of the providers and builds their catalog.
 * @throws ConfigInvalid for two providers of one id; whatever the engine rejects with.
 */
export async function openNodeCatalog(
  options: CatalogOptions,
  abort: AbortOptions = {},
): Promise<NodeCatalog> {
  checkLadder(options.ladder);
  const entries = new Map<string, CatalogEntry>();
  for (const provider of options.providers) {
    if (entries.has(provider.id)) {
      throw new HoldfastError('ConfigInvalid', `two providers have the id "${provider.id}"`);
    }
    entries.set(provider.id, new CatalogEntry(provider, options.ladder));
  }
  const catalog = new Catalog(options, entries);
  await catalog.refresh(abort);
  // From 0 on, so that the first failure is a rise.
  for (const id of entries.keys()) {
    for (const kind of FAILURE_KINDS) options.health?.providerFailures(id, kind, 0);
  }
  return catalog;
}

type Failure = Extract<Outcome, { readonly error: unknown }>;

class Catalog implements NodeCatalog {
  readonly providers: readonly Provider[];
  readonly #options: CatalogOptions;
  readonly #entries: ReadonlyMap<string, CatalogEntry>;
  readonly #persistence: CatalogPersistence;
  #started = false;

  constructor(options: CatalogOptions, entries: ReadonlyMap<string, CatalogEntry>) {
    this.#options = options;
    this.#entries = entries;
    this.#persistence = new CatalogPersistence(options, [...entries.values()]);
    this.providers = options.providers;
  }

  eligible({ bytes }: { readonly bytes: number }): Eligibility {
    const { clock, policy } = this.#options;
    const candidates: CatalogEntry[] = [];
    const lying: CatalogEntry[] = [];
    const leftOut: SkippedProvider[] = [];
    const now = clock.monotonic();
    for (const entry of this.#entries.values()) {
      const skip = skipOf(entry, bytes, now, policy);
      if (skip === undefined) candidates.push(entry);
      else leftOut.push({ provider: entry.provider, ...skip });
      if (skip?.reason === 'lying' && !isOtherwiseOut(entry, now, policy)) lying.push(entry);
    }
    return { candidates: this.#byScore(candidates), doubtful: this.#doubtful(lying), leftOut };
  }

  ranked(): readonly RankedProvider[] {
    return this.#byScore([...this.#entries.values()]);
  }

  snapshot(): readonly ProviderSnapshot[] {
    const { clock, policy } = this.#options;
    const ranked = this.eligible({ bytes: 1 }).candidates;
    const standing = standings(ranked.map(({ score }) => score));
    const behind = new Set(ranked.filter((_, i) => standing[i] !== 0).map(({ provider }) => provider.id));
    return [...this.#entries.values()].map((entry) =>
      snapshotOf(entry, behind.has(entry.provider.id), clock.monotonic(), policy),
    );
  }

  silentMs(providerId: string): number {
    const { silent_since: since } = this.#entry(providerId).profile;
    return since === 0 ? 0 : Math.max(0, this.#options.clock.now() - since);
  }

  preferredChunk(providerId: string): number {
    return this.#entry(providerId).preferredChunk;
  }

  p95Ms(providerId: string, direction: 'store' | 'read', bytes: number): number | undefined {
    const throughput = this.#entry(providerId).throughput[direction].tail();
    return throughput === undefined ? undefined : (bytes / throughput) * 1000;
  }

  report(providerId: string, outcome: Outcome): void {
    const entry = this.#entry(providerId);
    const at = this.#options.clock.now();
    switch (outcome.type) {
      case 'stored':
        entry.answered();
        entry.observe({ type: 'stored', at, sample: outcome });
        entry.throughput.store.add(outcome);
        if (outcome.existed !== true) entry.pendingUsage += outcome.bytes;
        return;
      case 'read':
        entry.answered();
        entry.observe({ type: 'read', at, elapsedMs: outcome.elapsedMs });
        entry.throughput.read.add(outcome);
        return;
      case 'deleted':
        entry.pendingUsage -= outcome.bytes;
        return;
      default:
        this.#failed(entry, outcome, at);
    }
  }

  #failed(entry: CatalogEntry, failure: Failure, at: number): void {
    const operation = failure.type === 'store_failed' ? 'store' : 'read';
    const kind = failureKind(operation, failure.error);
    if (kind === undefined) return;
    const { clock, health, policy } = this.#options;
    const { id } = entry.provider;
    const { code } = asHoldfastError(failure.error);
    entry.seenAt[kind] = clock.monotonic();
    health?.providerFailures(id, kind, 1);
    if (kind === 'denied') entry.denial = `a ${operation}: ${code}`;
    else entry.observe(observationOf(kind, failure, at, policy.failing.count));
    if (kind !== 'slow') entry.tell(lastFailure(at, operation, asHoldfastError(failure.error)));
    if (kind === 'denied' || kind === 'slow') return;
    if (isGrave(failure.error)) entry.seenAt.grave = clock.monotonic();
    if (isHoldfastError(failure.error, 'QuotaExceeded')) entry.freeBytes = 0;
  }

  async probeAll({
    signal,
    mode = 'regular',
    untilLate = false,
  }: ProbeAllOptions = {}): Promise<readonly ProbeReport[]> {
    throwIfAborted(signal, 'probe');
    const entries = [...this.#entries.values()];
    if (!untilLate) return probeEntries(entries, this.#options, mode, signal);
    const awaited = this.#entries.keys();
    return probeUntilLate(entries, { awaited, mode }, this.#options, { canSpare: () => true, signal });
  }

  async probeCandidates(options: CandidateOptions): Promise<void> {
    const awaited = this.eligible({ bytes: 1 }).candidates.map(({ provider }) => provider.id);
    await probeUntilLate(this.#entries.values(), { awaited, mode: 'passing' }, this.#options, options);
  }

  probe(providerId: string, { signal }: AbortOptions = {}): Promise<ProbeReport> {
    return probeEntry(this.#entry(providerId), this.#options, 'passing', signal);
  }

  async start(daemon: CatalogDaemon): Promise<void> {
    if (this.#started) throw new TypeError('the catalog has been started before');
    this.#started = true;
    await runDaemon(this, this.#options, daemon);
  }

  refresh(options: AbortOptions = {}): Promise<void> {
    return this.#persistence.refresh(options);
  }

  async setMaintenance(providerId: string, on: boolean, options: AbortOptions = {}): Promise<void> {
    await this.#persistence.setMaintenance(this.#entry(providerId), on, options);
  }

  flush(options: AbortOptions = {}): Promise<void> {
    return this.#persistence.flush(options);
  }

  recount(count: () => Promise<ReadonlyMap<string, number> | undefined>): Promise<boolean> {
    return this.#persistence.recount(count);
  }

  async close(): Promise<void> {
    await this.flush().catch((error: unknown) => {
      // A damaged figure is counted anew; until then nothing can be added to it.
      if (!isHoldfastError(error, 'Corrupt')) throw error;
    });
  }

  #doubtful(entries: readonly CatalogEntry[]): DoubtfulProvider[] {
    return this.#byScore(entries).map((one) => {
      const { success_rate_ewma: rate } = this.#entry(one.provider.id).profile;
      return { ...one, isMostlyRight: rate > MOSTLY };
    });
  }

  #entry(providerId: string): CatalogEntry {
    const entry = this.#entries.get(providerId);
    if (entry !== undefined) return entry;
    throw new HoldfastError('NotFound', `no provider "${providerId}" is registered`, {
      code: 'unknown_provider',
    });
  }

  /** Equal scores keep the order of the ids, so that the same knowledge gives the same ranking. */
  #byScore(entries: readonly CatalogEntry[]): RankedProvider[] {
    const { clock, policy } = this.#options;
    const now = clock.monotonic();
    return entries
      .map((entry) => ({ provider: entry.provider, score: score(entry, now, policy) }))
      .sort((a, b) => b.score - a.score || (a.provider.id < b.provider.id ? -1 : 1));
  }
}

/** @param graveCount recent failures that a grave one stands for: a later process knows of nothing but the count. */
function observationOf(
  kind: Exclude<FailureKind, 'denied'>,
  { type, error, bytes = 0, elapsedMs = 0 }: Failure,
  at: number,
  graveCount: number,
): Observation {
  if (kind === 'lying') return { type: 'lied', at };
  if (kind === 'slow') return { type: 'slow', at, sample: { bytes, elapsedMs } };
  return { type, at, counts: isGrave(error) ? graveCount : 1 };
}
