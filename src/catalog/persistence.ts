import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import { withDeadline } from '../core/clock.ts';
import { asHoldfastError, type HoldfastError, isHoldfastError } from '../core/errors.ts';
import { KeyedMutex } from '../engine/keyed-mutex.ts';
import type { ProviderProfile } from '../profiles/profile.ts';
import { createProfileStore, type ProfileStore } from '../profiles/store.ts';
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
    await this.#each(options, (entry) => this.#flushEntry(entry, options));
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
      const written = await this.#profiles.update(id, change, { sync: true, ...options });
      entry.unreadable = false;
      entry.rebase(written);
    });
  }

  /** Goes on with the others when one fails, then rejects with the first failure. */
  async #each(options: AbortOptions, move: (entry: CatalogEntry) => Promise<void>): Promise<void> {
    const moves = this.#entries.map((entry) =>
      this.#turns.run(entry.provider.id, () => move(entry), options.signal),
    );
    const results = await Promise.allSettled(moves);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
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

  async #flushEntry(entry: CatalogEntry, options: AbortOptions): Promise<void> {
    if (!entry.unreadable) await this.#flushProfile(entry, options);
    await this.#flushUsage(entry, options);
    if (entry.lastFailure === undefined || entry.lastFailureSaved) return;
    await this.#failures.save(entry.provider.id, entry.lastFailure, options);
    entry.lastFailureSaved = true;
  }

  async #flushProfile(entry: CatalogEntry, options: AbortOptions): Promise<void> {
    if (entry.pending.length === 0) return;
    const batch = entry.pending;
    entry.pending = [];
    try {
      entry.rebase(
        await this.#profiles.update(entry.provider.id, (stored) => entry.fold(stored, batch), options),
      );
    } catch (error) {
      entry.restore(batch, 0);
      if (!isHoldfastError(error, 'Corrupt')) throw error;
      this.#noteUnreadable(entry, error);
    }
  }

  async #flushUsage(entry: CatalogEntry, options: AbortOptions): Promise<void> {
    if (entry.pendingUsage === 0) return;
    const delta = entry.pendingUsage;
    entry.pendingUsage = 0;
    entry.storedUsage += delta;
    try {
      entry.storedUsage = await this.#usage.add(entry.provider.id, delta, options);
    } catch (error) {
      entry.storedUsage -= delta;
      entry.restore([], delta);
      throw error;
    }
  }
}
