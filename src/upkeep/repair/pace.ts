import { type AbortOptions, linkedAbort, NO_LONGER_NEEDED, throwIfAborted } from '../../core/abort.ts';
import type { RepairMetrics } from '../../telemetry/index.ts';
import { Egress } from './egress.ts';
import { OwnRate, SharedRate } from './rate.ts';
import type { CountContext } from './shared-count.ts';

interface ReadOptions extends AbortOptions {
  /** Of an object with no loss left to give: it is read though the cap of the day is reached, and counted all the same. */
  readonly exempt: boolean;
}

/** Keeps repair from taking more of providers, lines and disks than the configuration allows. */
export interface RepairPace {
  /**
   * Before bytes are read from a provider: resolves once they may be.
   * @throws HoldfastError `QuotaExceeded` (`egress_cap`) where the provider may give no more today; `context.untilMs` says
   * until when. `Conflict` (`pace_contended`); what the engine throws; `Aborted`.
   */
  read(provider: string, bytes: number, options: ReadOptions): Promise<void>;
  /**
   * Before anything is done for what will be stored at a provider and read back there: counts the reading back, so that no cap
   * comes between the two.
   * @returns takes it back, for what was not stored after all. @throws as `read`.
   */
  reserve(provider: string, bytes: number, options: ReadOptions): Promise<() => void>;
  /**
   * Before bytes are written that are read back then: resolves once they may be, both.
   * @throws HoldfastError `Conflict` (`pace_contended`); what the engine throws; `Aborted`.
   */
  store(bytes: number, options?: AbortOptions): Promise<void>;
  /**
   * Whether it could let anything pass, for who wants to know before there is something to repair.
   * @throws HoldfastError what kept the last count from being taken, a short while ago; what the engine throws; `Aborted`.
   */
  check(options?: AbortOptions): Promise<void>;
}

/** Sizes in bytes. */
export interface PaceLimits {
  /** Read, written and read back by this worker, together. */
  readonly bytesPerSecond: number;
  /** The same by all workers that share the engine. */
  readonly clusterBytesPerSecond: number;
  /** Read from one provider on one day by UTC. */
  readonly egressPerDay: number;
}

/** One for all that a worker repairs. */
export function createRepairPace(
  context: CountContext & { readonly metrics: Pick<RepairMetrics, 'paced' | 'egress'> },
  { bytesPerSecond, clusterBytesPerSecond, egressPerDay }: PaceLimits,
): RepairPace {
  const { clock, metrics } = context;
  const own = new OwnRate(clock, bytesPerSecond);
  const shared = new SharedRate(context, clusterBytesPerSecond);
  const egress = new Egress(context, egressPerDay, (provider, bytes) => metrics.egress(provider, bytes));

  const wait = async (bytes: number, signal: AbortSignal | undefined): Promise<void> => {
    const started = clock.monotonic();
    const both = linkedAbort(signal, 'repair');
    try {
      await Promise.all([own, shared].map((rate) => rate.take(bytes, both)));
    } finally {
      both.abort(NO_LONGER_NEEDED);
      both.dispose();
      metrics.paced((clock.monotonic() - started) / 1000);
    }
  };

  return {
    async read(provider, bytes, { exempt, signal }) {
      throwIfAborted(signal, 'repair');
      if (bytes <= 0) return;
      const takeBack = await egress.reserve(provider, bytes, { exempt, signal });
      try {
        await wait(bytes, signal);
      } catch (error) {
        takeBack();
        throw error;
      }
    },
    async reserve(provider, bytes, { exempt, signal }) {
      throwIfAborted(signal, 'repair');
      return bytes <= 0 ? () => {} : egress.reserve(provider, bytes, { exempt, signal });
    },
    async store(bytes, { signal } = {}) {
      throwIfAborted(signal, 'repair');
      if (bytes > 0) await wait(2 * bytes, signal);
    },
    check: (options = {}) => shared.check(options),
  };
}
