import PQueue from 'p-queue';
import { throwIfAborted } from '../core/abort.ts';
import { withDeadline } from '../core/clock.ts';
import { asHoldfastError, HoldfastError } from '../core/errors.ts';
import { countsProbe, type ProbeMode } from '../profiles/observe.ts';
import { FIRST_SAMPLES } from '../profiles/profile.ts';
import type { ProbeResult } from '../providers/adapter.ts';
import type { CatalogOptions, ProbeReport } from './catalog.ts';
import type { CatalogEntry } from './entry.ts';
import { failureKind, lastFailure } from './failures.ts';
import { NEAR_MS, ofConnecting, quarantineAfterProbe, skipOf } from './rank.ts';

/** How often a way is measured that is not known yet, or seems so many times longer: the machine may be busy. */
const MEASURES = 3;
const SUSPECT_FACTOR = 2;

const NOBODY: ReadonlySet<string> = new Set();

type Probing = Pick<CatalogOptions, 'clock' | 'policy' | 'health' | 'log'>;

/**
 * Probes all, a bounded number at a time. An abort of the caller counts against no provider, except for those in `late`:
 * a provider that is silent whenever a short run asks would never be found out.
 */
export async function probeEntries(
  entries: readonly CatalogEntry[],
  options: Probing,
  mode: ProbeMode,
  signal: AbortSignal | undefined,
  onReport: (report: ProbeReport) => void = () => {},
  late: ReadonlySet<string> = NOBODY,
): Promise<readonly ProbeReport[]> {
  const queue = new PQueue({ concurrency: options.policy.probe.concurrency });
  const probe = async (entry: CatalogEntry): Promise<ProbeReport> => {
    const report = await probeEntry(entry, options, mode, signal, late);
    onReport(report);
    if (entry.firstProbeMs !== undefined) await measure(entry, options, mode, signal);
    return report;
  };
  const reports = entries.map((entry) => queue.add(() => probe(entry)));
  return Promise.all(reports);
}

export async function probeEntry(
  entry: CatalogEntry,
  options: Probing,
  mode: ProbeMode,
  signal: AbortSignal | undefined,
  late: ReadonlySet<string> = NOBODY,
): Promise<ProbeReport> {
  throwIfAborted(signal, 'probe');
  const { adapter, id } = entry.provider;
  const started = options.clock.monotonic();
  try {
    const { timeoutMs } = options.policy.probe;
    const result = await withDeadline(
      options.clock,
      timeoutMs,
      'probe',
      (within) => adapter.probe({ signal: within }),
      signal,
    );
    const rttMs = plausible(result.rttMs) ? result.rttMs : options.clock.monotonic() - started;
    succeeded(entry, options, mode, rttMs, result);
    return { provider: id, rttMs, error: undefined };
  } catch (error) {
    if (!late.has(id)) throwIfAborted(signal, 'probe');
    // That the caller went away is not what is wrong with the provider.
    const failure = signal?.aborted ? silent(entry) : asHoldfastError(error);
    failed(entry, options, mode, failure);
    return { provider: id, rttMs: undefined, error: failure.message };
  }
}

/** Again over the connection that the first answer came by: what that took says little of the way. The shortest counts. */
async function measure(
  entry: CatalogEntry,
  options: Probing,
  mode: ProbeMode,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { clock } = options;
  const { rtt_ewma: usual, rtt_samples } = entry.profile;
  const known = rtt_samples >= FIRST_SAMPLES;
  let shortest = Number.POSITIVE_INFINITY;
  for (let asked = 0; asked < MEASURES; asked++) {
    const took = await roundTrip(entry, options, signal);
    if (took === undefined) break;
    shortest = Math.min(shortest, took);
    if (shortest <= Math.max(NEAR_MS, known ? SUSPECT_FACTOR * usual : 0)) break;
  }
  const first = entry.firstProbeMs;
  entry.firstProbeMs = undefined;
  if (first === undefined) return;
  if (signal?.aborted) {
    // Short commands would never get to know one that is far away, and take it for the nearest.
    const most = Math.min(ofConnecting(first), shortest);
    if (!known) entry.observe({ type: 'measured', at: clock.now(), rttMs: most });
    return;
  }
  const rttMs = Math.min(first, shortest);
  entry.observe({ type: 'measured', at: clock.now(), rttMs });
  const pardon = mode === 'pardon' && entry.quarantine !== undefined;
  concluded(entry, options, { counts: true, pardon, rttMs });
}

/** Undefined when there is no answer. */
async function roundTrip(
  { provider: { adapter } }: CatalogEntry,
  { clock, policy }: Probing,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  const started = clock.monotonic();
  const ask = (within: AbortSignal): Promise<ProbeResult> => adapter.probe({ signal: within });
  const answer = await withDeadline(clock, policy.probe.timeoutMs, 'probe', ask, signal).catch(
    () => undefined,
  );
  if (answer === undefined) return undefined;
  return plausible(answer.rttMs) ? answer.rttMs : clock.monotonic() - started;
}

function failed(entry: CatalogEntry, options: Probing, mode: ProbeMode, failure: HoldfastError): void {
  const { clock } = options;
  entry.probeFailure = failure.code;
  entry.tell(lastFailure(clock.now(), 'probe', failure));
  entry.givenUp = undefined;
  if (failureKind('store', failure) === 'denied') {
    // The provider is there: others, with other credentials, may well be let in.
    entry.probed = true;
    entry.seenAt.denied = clock.monotonic();
    entry.denial = `a probe: ${failure.code}`;
    return;
  }
  const observation = { type: 'probe_failed', at: clock.now(), mode } as const;
  const counts = countsProbe(entry.profile, observation);
  entry.observe(observation);
  concluded(entry, options, { counts, pardon: false, rttMs: undefined });
}

function succeeded(
  entry: CatalogEntry,
  options: Probing,
  mode: ProbeMode,
  rttMs: number,
  { freeBytes }: ProbeResult,
): void {
  const pardon = mode === 'pardon' && entry.quarantine !== undefined;
  const asked = mode === 'pardon' && !pardon ? 'regular' : mode;
  const at = options.clock.now();
  const counts = countsProbe(entry.profile, { at, mode: asked });
  const unknown = entry.profile.rtt_ewma === 0;
  const again = (counts || unknown) && !entry.connected && rttMs > NEAR_MS;
  entry.observe({ type: 'probed', at, rttMs: again ? undefined : rttMs, mode: asked });
  entry.firstProbeMs = again ? rttMs : undefined;
  entry.connected = true;
  entry.answered();
  entry.freeBytes = freeBytes !== undefined && plausible(freeBytes) ? freeBytes : undefined;
  concluded(entry, options, { counts: counts && !again, pardon, rttMs });
}

interface Conclusion {
  /** Whether the probe went into the averages. */
  readonly counts: boolean;
  readonly pardon: boolean;
  /** Undefined when it failed. */
  readonly rttMs: number | undefined;
}

function concluded(entry: CatalogEntry, options: Probing, { counts, pardon, rttMs }: Conclusion): void {
  const { profile, provider, quarantine: before } = entry;
  entry.probed = true;
  if (counts) {
    const limits = options.policy.quarantine;
    entry.quarantine = quarantineAfterProbe(pardon ? undefined : before, profile, rttMs, limits);
  }
  options.health?.providerHealth(provider.id, profile.rtt_ewma, profile.loss_ewma);
  if ((before === undefined) === (entry.quarantine === undefined)) return;
  const type = before === undefined ? 'quarantined' : 'returned';
  const why = skipOf(entry, 0, options.clock.monotonic(), options.policy)?.why ?? 'within the limits again';
  options.log?.({ type, provider: provider.id, why });
}

const plausible = (value: number): boolean => Number.isFinite(value) && value >= 0;

const silent = ({ givenUp = 'no answer' }: CatalogEntry): HoldfastError =>
  new HoldfastError('Timeout', givenUp, { operation: 'probe' });
