import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import { withDeadline } from '../core/clock.ts';
import { asHoldfastError, type HoldfastError, isHoldfastError } from '../core/errors.ts';
import { KeyedMutex } from '../engine/keyed-mutex.ts';
import type { ProviderProfile } from '../profiles/profile.ts';
import { createProfileStore, type ProfileChange, type ProfileStore } from '../profiles/store.ts';
import type { CatalogOptions } from './catalog.ts';
import type { CatalogEntry } from './entry.ts';
import { createLastFailures, type LastFailures } from './failures.ts';
import { createUsageStore, quotaBytes, type UsageStore } from './quota.ts';
import { overLimit } from './rank.ts';

/**
 * Moves what the entries know to the engine and back. What is stored is always "the stored record, with what was
 * seen here applied to it", so processes that share an engine lose nothing of each other.
 */
export class CatalogPersistence {
  readonly #options: CatalogOptions;
  readonly #entries: readonly CatalogEntry[];
  readonly #profiles: ProfileStore;
  readonly #usage: UsageStore;
  readonly #failures: LastFailures;
  /** One move at a time per provider. */
  readonly #turns = new KeyedMutex();

  constructor(options: CatalogOptions, entries: readonly CatalogEntry[]) {
    this.#options = options;
    this.#entries = entries;
    this.#profiles = createProfileStore(options.engine);
    this.#usage = createUsageStore(options.engine);
    this.#failures = createLastFailures(options.engine);
  }

  async refresh(options: AbortOptions): Promise<void> {
    throwIfAborted(options.signal, 'refresh');
    await this.#each(options, (entry) => this.#refreshEntry(entry, options));
  }

  async flush(options: AbortOptions): Promise<void> {
    throwIfAborted(options.signal, 'flush');
    const ids = this.#entries.map(({ provider }) => provider.id);
    const flush = async (): Promise<void> => {
      const kinds = [this.#flushProfiles(options), this.#flushUsage(options), this.#flushFailures(options)];
      throwFirst(await Promise.allSettled(kinds));
    };
    await this.#turns.runAll(ids, flush, options.signal);
  }

  async recount(count: () => Promise<ReadonlyMap<string, number> | undefined>): Promise<boolean> {
    // What of it cannot be added to a damaged record is in the count.
    await this.flush({}).catch(() => {});
    const unwritten = this.#entries.map(({ pendingUsage }) => pendingUsage);
    const before = await Promise.all(this.#entries.map(({ provider }) => this.#usage.stored(provider.id)));
    const sums = await count();
    if (sums === undefined) return false;
    const replaced = this.#entries.map((entry, i) =>
      this.#turns.run(entry.provider.id, async () => {
        const sum = sums.get(entry.provider.id) ?? 0;
        const done = await this.#usage.replace(entry.provider.id, before[i], sum);
        if (!done) return false;
        entry.storedUsage = sum;
        entry.pendingUsage -= unwritten[i]!;
        return true;
      }),
    );
    return (await Promise.all(replaced)).every(Boolean);
  }

  async setMaintenance(entry: CatalogEntry, on: boolean, options: AbortOptions): Promise<void> {
    throwIfAborted(options.signal, 'maintenance');
    const { id } = entry.provider;
    const change = (stored: ProviderProfile | undefined): ProviderProfile => ({
      ...entry.fold(stored, []),
      maintenance: on,
    });
    await this.#turns.run(id, async () => {
      if (entry.unreadable) await this.#profiles.replace(id, change(undefined), { sync: true, ...options });
      const { written, failures } = await this.#profiles.update(new Map([[id, change]]), {
        sync: true,
        ...options,
      });
      if (failures.has(id)) throw failures.get(id);
      entry.unreadable = false;
      entry.rebase(written.get(id));
    });
  }

  /** Goes on with the others when one fails, then rejects with the first failure. */
  async #each(options: AbortOptions, move: (entry: CatalogEntry) => Promise<void>): Promise<void> {
    const moves = this.#entries.map((entry) =>
      this.#turns.run(entry.provider.id, () => move(entry), options.signal),
    );
    throwFirst(await Promise.allSettled(moves));
  }

  async #refreshEntry(entry: CatalogEntry, options: AbortOptions): Promise<void> {
    await this.#loadProfile(entry, options);
    await this.#loadUsage(entry, options);
    const failure = await this.#failures.load(entry.provider.id, options);
    if (failure !== undefined && failure.at > (entry.lastFailure?.at ?? -1)) entry.lastFailure = failure;
    await this.#loadQuota(entry, options);
  }

  async #loadProfile(entry: CatalogEntry, options: AbortOptions): Promise<void> {
    const { policy } = this.#options;
    const { id } = entry.provider;
    try {
      const stored = await this.#profiles.load(id, options);
      entry.unreadable = false;
      const before = entry.profile.maintenance;
      entry.rebase(stored);
      this.#tellMaintenance(entry, before);
      if (stored === undefined) return;
      this.#takeOverTimes(entry, stored);
      if (entry.probed) return;
      const over = overLimit(stored, policy.quarantine);
      entry.quarantine = over === undefined ? undefined : { over, goodProbes: 0 };
    } catch (error) {
      if (!isHoldfastError(error, 'Corrupt')) throw error;
      this.#noteUnreadable(entry, error);
    }
  }

  #noteUnreadable(entry: CatalogEntry, error: HoldfastError): void {
    const provider = entry.provider.id;
    if (!entry.unreadable) this.#options.log?.({ type: 'profile_unreadable', provider, error });
    entry.unreadable = true;
  }

  #tellMaintenance(entry: CatalogEntry, before: boolean): void {
    const { maintenance } = entry.profile;
    const type = maintenance ? 'maintenance_on' : 'maintenance_off';
    if (before === maintenance) return;
    this.#options.log?.({ type, provider: entry.provider.id, why: 'the operator said so' });
  }

  /** What other processes saw lately. Their clock is the system's; times to come say nothing. */
  #takeOverTimes({ seenAt }: CatalogEntry, { failed_at, slow_at, lied_at }: ProviderProfile): void {
    const { clock } = this.#options;
    for (const [kind, at] of [
      ['failing', failed_at],
      ['slow', slow_at],
      ['lying', lied_at],
    ] as const) {
      const age = clock.now() - at;
      if (at === 0 || age < 0) continue;
      seenAt[kind] = Math.max(seenAt[kind] ?? Number.NEGATIVE_INFINITY, clock.monotonic() - age);
    }
  }

  /** The figure is derived: it stops nothing, and is counted anew. */
  async #loadUsage(entry: CatalogEntry, options: AbortOptions): Promise<void> {
    const { id } = entry.provider;
    try {
      entry.storedUsage = await this.#usage.load(id, options);
    } catch (error) {
      if (!isHoldfastError(error, 'Corrupt')) throw error;
      this.#options.log?.({ type: 'usage_unreadable', provider: id, error });
    }
  }

  /** A settlement that fails leaves the quota as it was last known. */
  async #loadQuota(entry: CatalogEntry, { signal }: AbortOptions): Promise<void> {
    const { settlement, policy, log } = this.#options;
    const ask = (within: AbortSignal) => settlement.balanceSplit(entry.provider, { signal: within });
    try {
      const balance = await withDeadline(
        this.#options.clock,
        policy.probe.timeoutMs,
        'balanceSplit',
        ask,
        signal,
      );
      entry.quota = quotaBytes(balance, policy.zeroCreditsUnlimited);
      entry.credits = balance;
    } catch (error) {
      throwIfAborted(signal, 'balanceSplit');
      log?.({ type: 'settlement_failed', provider: entry.provider.id, error: asHoldfastError(error) });
    }
  }

  /** Of all providers in one step; what cannot be written is kept for the next time. */
  async #flushProfiles(options: AbortOptions): Promise<void> {
    const changed = this.#entries.filter(({ unreadable, pending }) => !unreadable && pending.length > 0);
    const batches = new Map(changed.map((entry) => [entry, entry.pending]));
    for (const entry of changed) entry.pending = [];
    const changes = new Map(
      [...batches].map(([entry, batch]): [string, ProfileChange] => [
        entry.provider.id,
        (stored) => entry.fold(stored, batch),
      ]),
    );
    const { written, failures } = await this.#profiles
      .update(changes, options)
      .catch((error: unknown) => ({ written: new Map(), failures: failedAll(changes, error) }));
    const rest: unknown[] = [];
    for (const [entry, batch] of batches) {
      const { id } = entry.provider;
      if (!failures.has(id)) entry.rebase(written.get(id));
      else {
        entry.restore(batch, 0);
        const error = failures.get(id);
        if (isHoldfastError(error, 'Corrupt')) this.#noteUnreadable(entry, error);
        else rest.push(error);
      }
    }
    if (rest.length > 0) throw rest[0];
  }

  async #flushUsage(options: AbortOptions): Promise<void> {
    const changed = this.#entries.filter(({ pendingUsage }) => pendingUsage !== 0);
    const deltas = new Map(changed.map(({ provider, pendingUsage }) => [provider.id, pendingUsage]));
    for (const entry of changed) {
      entry.storedUsage += entry.pendingUsage;
      entry.pendingUsage = 0;
    }
    const { sums, failures } = await this.#usage
      .add(deltas, options)
      .catch((error: unknown) => ({ sums: new Map(), failures: failedAll(deltas, error) }));
    for (const entry of changed) {
      const { id } = entry.provider;
      const delta = deltas.get(id)!;
      entry.storedUsage = sums.get(id) ?? entry.storedUsage - delta;
      if (failures.has(id)) entry.restore([], delta);
    }
    for (const error of failures.values()) throw error;
  }

  async #flushFailures(options: AbortOptions): Promise<void> {
    for (const entry of this.#entries) {
      const { lastFailure, lastFailureSaved, provider } = entry;
      if (lastFailure === undefined || lastFailureSaved) continue;
      await this.#failures.save(provider.id, lastFailure, options);
      if (entry.lastFailure === lastFailure) entry.lastFailureSaved = true;
    }
  }
}

const failedAll = (each: ReadonlyMap<string, unknown>, error: unknown): ReadonlyMap<string, unknown> =>
  new Map([...each.keys()].map((id) => [id, error]));

function throwFirst(results: readonly PromiseSettledResult<void>[]): void {
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
