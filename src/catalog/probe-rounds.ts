import { manyMayListen, NO_LONGER_NEEDED } from '../core/abort.ts';
import { deferred } from '../core/deferred.ts';
import { asHoldfastError } from '../core/errors.ts';
import { PROBES } from '../core/straggler-policies.ts';
import { lateAfterMs } from '../core/stragglers.ts';
import type { ProbeMode } from '../profiles/observe.ts';
import type { CandidateOptions, CatalogDaemon, CatalogOptions, NodeCatalog, ProbeReport } from './catalog.ts';
import type { CatalogEntry } from './entry.ts';
import { probeEntries } from './probing.ts';

const CHECK_MS = 25;

/** Round trips of a first request: two for TLS, one each for the connection and the answer. */
const FIRST_ROUND_TRIPS = 4;

/** A provider that is far away is not late for it, or commands would leave it out whenever they begin. */
const usualOf = ({ connected, profile }: CatalogEntry): number =>
  profile.rtt_ewma * (connected ? 1 : FIRST_ROUND_TRIPS);

/** How long those are given to answer that nobody waits for, so that short runs let them back too. */
const OTHERS_GRACE_MS = 250;

interface Round {
  /** Ids of those that are waited for. */
  readonly awaited: Iterable<string>;
  readonly mode: ProbeMode;
}

/**
 * Probes all, and resolves once those have answered that are waited for, or are so late that others' answers say they may
 * not come. What is still under way goes on until the signal fires.
 * @returns in the order of `all`, of those that were waited for or had answered by then.
 */
export async function probeUntilLate(
  all: Iterable<CatalogEntry>,
  { awaited: ids, mode }: Round,
  options: Pick<CatalogOptions, 'clock' | 'policy' | 'health' | 'log'>,
  { canSpare, signal }: CandidateOptions,
): Promise<readonly ProbeReport[]> {
  const { clock } = options;
  const inOrder = [...all];
  const awaited = new Set(ids);
  // Awaited first: where only so many are probed at once, nobody waits behind one that is not waited for.
  const isAwaited = ({ provider }: CatalogEntry): number => Number(awaited.has(provider.id));
  const entries = [...inOrder].sort((a, b) => isAwaited(b) - isAwaited(a));
  const p95Ms = new Map(entries.map((entry) => [entry.provider.id, usualOf(entry)]));
  const startedMs = clock.monotonic();
  const field = { done: 0, slowestMs: 0 };
  const answered = deferred();
  const reports = new Map<string, ProbeReport>();
  const onReport = (report: ProbeReport): void => {
    reports.set(report.provider, report);
    if (!awaited.delete(report.provider)) return;
    if (report.error === undefined) {
      field.done++;
      field.slowestMs = clock.monotonic() - startedMs;
    }
    if (awaited.size === 0) answered.resolve();
  };
  const givenUp = new Set<string>();
  const round = probeEntries(entries, options, mode, signal, onReport, givenUp);
  const over = new AbortController();
  const isLate = (id: string): boolean => {
    const waiting = { ...field, running: awaited.size };
    return clock.monotonic() - startedMs >= lateAfterMs(PROBES, waiting, p95Ms.get(id));
  };
  const late = async (): Promise<void> => {
    for (let waitMs = PROBES.floorMs; ; waitMs = CHECK_MS) {
      await clock.sleep(waitMs, over.signal);
      if ([...awaited].every(isLate) && canSpare([...awaited])) break;
    }
    const why = `no answer after ${((clock.monotonic() - startedMs) / 1000).toFixed(1)} s, long after the others`;
    for (const entry of entries) if (awaited.has(entry.provider.id)) giveUp(entry, why, givenUp, reports);
  };
  const grace = answered.promise.then(() => clock.sleep(OTHERS_GRACE_MS, over.signal));
  const enough = Promise.race([grace, late()]);
  enough.catch(() => {});
  try {
    await Promise.race([round, enough]);
  } finally {
    over.abort(NO_LONGER_NEEDED);
  }
  return inOrder.flatMap(({ provider }) => reports.get(provider.id) ?? []);
}

function giveUp(
  entry: CatalogEntry,
  why: string,
  givenUp: Set<string>,
  reports: Map<string, ProbeReport>,
): void {
  const { id } = entry.provider;
  entry.givenUp = why;
  givenUp.add(id);
  reports.set(id, { provider: id, rttMs: undefined, error: why });
}

type Running = Pick<NodeCatalog, 'probeAll' | 'flush' | 'refresh'>;
type Means = Pick<CatalogOptions, 'clock' | 'engine' | 'policy' | 'log'>;

/** The catalog's own work, until the signal fires: what fails is told and tried again in the next round. */
export async function runDaemon(
  catalog: Running,
  { clock, engine, policy, log }: Means,
  { signal, firstAfterMs = 0, onRound }: CatalogDaemon,
): Promise<void> {
  const { intervalMs, refreshMs } = policy.probe;
  // All providers at once.
  manyMayListen(signal);
  const sleep = (ms: number): Promise<void> => clock.sleep(ms, signal, { idle: true }).catch(() => {});
  let probeAt = clock.monotonic() + firstAfterMs;
  let seen: string | undefined;
  /** One step that fails, for want of a record that can be read, say, keeps none of the others from being done. */
  const step = async (work: () => Promise<void>): Promise<void> => {
    try {
      if (!signal.aborted) await work();
    } catch (error) {
      if (!signal.aborted) log?.({ type: 'round_failed', error: asHoldfastError(error) });
    }
  };
  const refresh = async (due: boolean): Promise<void> => {
    if (!due && seen !== undefined && (await engine.revision()) === seen) return;
    await catalog.refresh({ signal });
    // Taken at once: while this process has the engine, no other changes it.
    seen = await engine.revision();
  };
  // What is stored was read when the catalog was opened.
  if (firstAfterMs > 0) await sleep(Math.min(refreshMs, firstAfterMs));
  while (!signal.aborted) {
    const due = clock.monotonic() >= probeAt;
    if (due) {
      probeAt = clock.monotonic() + intervalMs;
      await step(async () => void (await catalog.probeAll({ signal })));
      await step(() => catalog.flush({ signal }));
    }
    await step(() => refresh(due));
    if (signal.aborted) return;
    if (due) onRound?.();
    await sleep(Math.min(refreshMs, intervalMs));
  }
}
