import PQueue from 'p-queue';
import { throwIfAborted, withDeadline } from '../core/abort.ts';
import { asHoldfastError } from '../core/errors.ts';
import type { ProbeResult } from '../providers/adapter.ts';
import type { CatalogOptions, ProbeReport } from './catalog.ts';
import type { CatalogEntry } from './entry.ts';
import { quarantineAfterProbe } from './quarantine.ts';
import { skipOf } from './rank.ts';

const NOBODY: ReadonlySet<string> = new Set();

type Probing = Pick<CatalogOptions, 'clock' | 'policy' | 'health' | 'log'>;

/**
 * Probes all, a bounded number at a time. An abort of the caller counts against no provider, except for those in `late`:
 * a provider that is silent whenever a short run asks would never be found out.
 */
export async function probeEntries(
  entries: readonly CatalogEntry[],
  options: Probing,
  signal: AbortSignal | undefined,
  onReport: (report: ProbeReport) => void = () => {},
  late: ReadonlySet<string> = NOBODY,
): Promise<readonly ProbeReport[]> {
  const queue = new PQueue({ concurrency: options.policy.probe.concurrency });
  const probe = async (entry: CatalogEntry): Promise<ProbeReport> => {
    const report = await probeEntry(entry, options, signal, late);
    onReport(report);
    return report;
  };
  const reports = entries.map((entry) => queue.add(() => probe(entry)));
  return Promise.all(reports);
}

export async function probeEntry(
  entry: CatalogEntry,
  options: Probing,
  signal: AbortSignal | undefined,
  late: ReadonlySet<string> = NOBODY,
): Promise<ProbeReport> {
  throwIfAborted(signal, 'probe');
  const { adapter, id } = entry.provider;
  const started = options.clock.monotonic();
  try {
    const { timeoutMs } = options.policy.probe;
    const result = await withDeadline(
      timeoutMs,
      'probe',
      (within) => adapter.probe({ signal: within }),
      signal,
    );
    const rttMs = plausible(result.rttMs) ? result.rttMs : options.clock.monotonic() - started;
    succeeded(entry, options, rttMs, result);
    return { provider: id, rttMs, error: undefined };
  } catch (error) {
    if (!late.has(id)) throwIfAborted(signal, 'probe');
    const failure = asHoldfastError(error);
    entry.observe({ type: 'probe_failed', at: options.clock.now() });
    entry.probeFailure = failure.code;
    concluded(entry, options, undefined);
    return { provider: id, rttMs: undefined, error: failure.message };
  }
}

function succeeded(entry: CatalogEntry, options: Probing, rttMs: number, { freeBytes }: ProbeResult): void {
  entry.observe({ type: 'probed', at: options.clock.now(), rttMs });
  entry.probeFailure = undefined;
  entry.freeBytes = freeBytes !== undefined && plausible(freeBytes) ? freeBytes : undefined;
  concluded(entry, options, rttMs);
}

function concluded(entry: CatalogEntry, options: Probing, rttMs: number | undefined): void {
  const { profile, provider, quarantine: before } = entry;
  entry.probed = true;
  entry.quarantine = quarantineAfterProbe(before, profile, rttMs, options.policy.quarantine);
  options.health?.providerHealth(provider.id, profile.rtt_ewma, profile.loss_ewma);
  if ((before === undefined) === (entry.quarantine === undefined)) return;
  const type = before === undefined ? 'quarantined' : 'returned';
  const why = skipOf(entry, 0, options.clock.monotonic(), options.policy)?.why ?? 'within the limits again';
  options.log?.({ type, provider: provider.id, why });
}

const plausible = (value: number): boolean => Number.isFinite(value) && value >= 0;
