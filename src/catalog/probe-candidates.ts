import { NO_LONGER_NEEDED } from '../core/abort.ts';
import { deferred } from '../core/deferred.ts';
import { lateAfterMs, type StragglerPolicy } from '../core/stragglers.ts';
import type { CandidateOptions, CatalogOptions } from './catalog.ts';
import type { CatalogEntry } from './entry.ts';
import { probeEntries } from './probing.ts';

/** A provider whose probe takes longer, and three times what others' take, and what its own usually do, is late. */
const PROBES: StragglerPolicy = { floorMs: 500, factor: 3, quorum: 0.5 };
const CHECK_MS = 25;

/** Round trips of a first request: two for TLS, one each for the connection and the answer. */
const FIRST_ROUND_TRIPS = 4;

/** A provider that is far away is not late for it, or commands would leave it out whenever they begin. */
const usualOf = ({ connected, profile }: CatalogEntry): number =>
  profile.rtt_ewma * (connected ? 1 : FIRST_ROUND_TRIPS);

/** How long those are given to answer that nobody waits for, so that short runs let them back too. */
const OTHERS_GRACE_MS = 250;

/**
 * Probes all, and resolves once those have answered that may take new shards, or are so late that others' answers say
 * they may not come. What is still under way goes on until the signal fires.
 * @param awaited ids of those that may take new shards.
 */
export async function probeCandidates(
  all: Iterable<CatalogEntry>,
  awaited: Set<string>,
  options: Pick<CatalogOptions, 'clock' | 'policy' | 'health' | 'log'>,
  { canSpare, signal }: CandidateOptions,
): Promise<void> {
  const { clock } = options;
  const isAwaited = ({ provider }: CatalogEntry): number => Number(awaited.has(provider.id));
  // In this order: where only so many are probed at once, nobody waits behind one that is not waited for.
  const entries = [...all].sort((a, b) => isAwaited(b) - isAwaited(a));
  const p95Ms = new Map(entries.map((entry) => [entry.provider.id, usualOf(entry)]));
  const startedMs = clock.monotonic();
  const field = { done: 0, slowestMs: 0 };
  const answered = deferred();
  const givenUp = new Set<string>();
  const round = probeEntries(
    entries,
    options,
    'passing',
    signal,
    (report) => {
      if (!awaited.delete(report.provider)) return;
      if (report.error === undefined) {
        field.done++;
        field.slowestMs = clock.monotonic() - startedMs;
      }
      if (awaited.size === 0) answered.resolve();
    },
    givenUp,
  );
  const over = new AbortController();
  const sleep = (ms: number): Promise<void> => clock.sleep(ms, over.signal);
  const late = async (): Promise<void> => {
    for (let waitMs = PROBES.floorMs; ; waitMs = CHECK_MS) {
      await sleep(waitMs);
      const elapsedMs = clock.monotonic() - startedMs;
      const waiting = { ...field, running: awaited.size };
      const all = [...awaited];
      if (all.some((id) => elapsedMs < lateAfterMs(PROBES, waiting, p95Ms.get(id)))) continue;
      if (canSpare(all)) break;
    }
    for (const entry of entries) {
      if (!awaited.has(entry.provider.id)) continue;
      givenUp.add(entry.provider.id);
      entry.givenUp = notYet(startedMs);
    }
  };
  const notYet = (since: number): string =>
    `no answer after ${((clock.monotonic() - since) / 1000).toFixed(1)} s, long after the others`;
  const enough = Promise.race([answered.promise.then(() => sleep(OTHERS_GRACE_MS)), late()]);
  enough.catch(() => {});
  try {
    await Promise.race([round, enough]);
  } finally {
    over.abort(NO_LONGER_NEEDED);
  }
}
