import type { ProviderProfile } from '../profiles/profile.ts';
import type { CatalogPolicy, ProviderSnapshot, Skip, SkipReason } from './catalog.ts';
import type { CatalogEntry, Quarantine } from './entry.ts';
import { describeFailure } from './failures.ts';
import type { CreditBalance } from './quota.ts';

/** Stands for the RTT of a provider that was never measured, so that it is tried. */
const OPTIMISTIC_RTT_MS = 1;

/** A provider nearer than this is not better for it. */
export const NEAR_MS = 20;
/** Who loses races counts as if it were so many times as far away for each, of as many as make it come last. */
const SLOW_FACTOR = 4;
const MAX_SLOW = 3;

/** The most that a round trip takes where connecting and an answer took this long: that is two at least. */
export const ofConnecting = (firstProbeMs: number): number => firstProbeMs / 2;

/** (1 − loss) · success rate / RTT, the RTT a longer one while it loses races; the higher, the better. */
export function score(
  entry: Pick<CatalogEntry, 'profile' | 'seenAt' | 'firstProbeMs'>,
  monotonicMs: number,
  policy: CatalogPolicy,
): number {
  const { profile, firstProbeMs } = entry;
  const guess = firstProbeMs === undefined ? OPTIMISTIC_RTT_MS : ofConnecting(firstProbeMs);
  const rttMs = profile.rtt_ewma === 0 ? guess : profile.rtt_ewma;
  const slow = racesLost(entry, monotonicMs, policy);
  const felt = slow === 0 ? rttMs : Math.max(rttMs, NEAR_MS) * SLOW_FACTOR ** slow;
  return ((1 - profile.loss_ewma) * profile.success_rate_ewma) / felt;
}

/** Races lost lately and not made good since, as many as count. */
function racesLost(
  { profile, seenAt }: Pick<CatalogEntry, 'profile' | 'seenAt'>,
  monotonicMs: number,
  { slow }: CatalogPolicy,
): number {
  const lately = seenAt.slow !== undefined && monotonicMs - seenAt.slow < slow.rememberMs;
  return lately ? Math.min(profile.recent_slow, MAX_SLOW) : 0;
}

/** Why a provider gets no new shards of `bytes` in all, or undefined when it may. */
export function skipOf(
  entry: CatalogEntry,
  bytes: number,
  monotonicMs: number,
  policy: CatalogPolicy,
): Skip | undefined {
  if (entry.unreadable) {
    return skip('profile_unreadable', 'its stored profile cannot be read; set its maintenance on or off');
  }
  if (entry.profile.maintenance) return skip('maintenance', 'the operator put it in maintenance');
  return (
    quarantined(entry, policy) ??
    unreachable(entry) ??
    withoutRoom(entry, bytes) ??
    lying(entry, monotonicMs, policy) ??
    denied(entry, monotonicMs, policy) ??
    failing(entry, monotonicMs, policy)
  );
}

function quarantined({ quarantine, profile }: CatalogEntry, policy: CatalogPolicy): Skip | undefined {
  if (quarantine === undefined) return undefined;
  const { maxLoss, maxRttMs, returnAfter } = policy.quarantine;
  const figure =
    quarantine.over === 'loss'
      ? `probe loss ${percent(profile.loss_ewma)} (limit ${percent(maxLoss)})`
      : `RTT ${Math.round(profile.rtt_ewma)} ms (limit ${maxRttMs} ms)`;
  return skip('quarantined', `${figure}; ${quarantine.goodProbes} of ${returnAfter} good probes to return`);
}

function unreachable({ profile, lastFailure, givenUp }: CatalogEntry): Skip | undefined {
  if (givenUp !== undefined) return skip('unreachable', givenUp);
  if (profile.silent_since === 0) return undefined;
  const why = lastFailure?.operation === 'probe' ? `: ${describeFailure(lastFailure)}` : '';
  return skip('unreachable', `its last probe failed${why}`);
}

function withoutRoom(entry: CatalogEntry, bytes: number): Skip | undefined {
  const { quota, usedBytes, freeBytes } = entry;
  if (quota === undefined)
    return skip('over_quota', 'its credits are not known: the settlement did not answer');
  if (usedBytes + bytes > quota)
    return skip('over_quota', `${usedBytes} of ${quota} bytes of its quota are used`);
  if (freeBytes !== undefined && (freeBytes === 0 || bytes > freeBytes)) {
    return skip('full', `it has ${freeBytes} bytes free`);
  }
  return undefined;
}

function failing(entry: CatalogEntry, monotonicMs: number, policy: CatalogPolicy): Skip | undefined {
  const { recent_failures } = entry.profile;
  // What is remembered over a restart is the count; a grave failure alone is enough while this process lasts.
  const since = recent_failures < policy.failing.count ? entry.seenAt.grave : entry.seenAt.failing;
  const again = triedAgain(since, monotonicMs, policy);
  if (again === undefined) return undefined;
  const { lastFailure } = entry;
  const last =
    lastFailure === undefined ? '' : `, the last a ${lastFailure.operation}: ${describeFailure(lastFailure)}`;
  return skip('recently_failing', `${recent_failures} recent failures${last}; ${again}`);
}

/** Successes do not shorten it, or one that lies now and then would be forgiven within the same read. */
function lying(entry: CatalogEntry, monotonicMs: number, policy: CatalogPolicy): Skip | undefined {
  const again = triedAgain(entry.seenAt.lying, monotonicMs, policy);
  if (again === undefined) return undefined;
  const { lastFailure } = entry;
  const last =
    lastFailure === undefined ? '' : ` (a ${lastFailure.operation}: ${describeFailure(lastFailure)})`;
  return skip('lying', `what it had acknowledged was gone or altered${last}; ${again}`);
}

function denied(entry: CatalogEntry, monotonicMs: number, policy: CatalogPolicy): Skip | undefined {
  const again = triedAgain(entry.seenAt.denied, monotonicMs, policy);
  if (again === undefined) return undefined;
  return skip('denied', `it refused the credentials of this process (${entry.denial ?? 'denied'}); ${again}`);
}

/** Whether one that is left out for a lie would be no candidate even so. */
export const isOtherwiseOut = (entry: CatalogEntry, monotonicMs: number, policy: CatalogPolicy): boolean =>
  (denied(entry, monotonicMs, policy) ?? failing(entry, monotonicMs, policy)) !== undefined;

/** Undefined once the time is over. */
function triedAgain(
  since: number | undefined,
  monotonicMs: number,
  { failing }: CatalogPolicy,
): string | undefined {
  if (since === undefined) return undefined;
  const left = since + failing.cooldownMs - monotonicMs;
  return left > 0 ? `tried again in ${Math.ceil(left / 1000)} s` : undefined;
}

const skip = (reason: SkipReason, why: string): Skip => ({ reason, why });

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

type Limits = CatalogPolicy['quarantine'];
type Averages = Pick<ProviderProfile, 'loss_ewma' | 'rtt_ewma'>;

/** The limit that the averages are over, if any. */
export function overLimit(averages: Averages, limits: Limits): Quarantine['over'] | undefined {
  if (averages.loss_ewma > limits.maxLoss) return 'loss';
  return averages.rtt_ewma > limits.maxRttMs ? 'rtt' : undefined;
}

/**
 * The quarantine after a probe, given the averages that include it. A provider comes in when an average is over its
 * limit, and goes out after `returnAfter` good probes in a row with all averages back within.
 * @param rttMs of the probe; undefined when it failed.
 */
export function quarantineAfterProbe(
  before: Quarantine | undefined,
  averages: Averages,
  rttMs: number | undefined,
  limits: Limits,
): Quarantine | undefined {
  const over = overLimit(averages, limits);
  if (before === undefined) return over === undefined ? undefined : { over, goodProbes: 0 };
  const good = rttMs !== undefined && rttMs <= limits.maxRttMs;
  const goodProbes = good ? before.goodProbes + 1 : 0;
  if (over === undefined && goodProbes >= limits.returnAfter) return undefined;
  return { over: over ?? before.over, goodProbes };
}

/** @param farBehind others are so much better that it gets only the shards that survival asks for. */
export function snapshotOf(
  entry: CatalogEntry,
  farBehind: boolean,
  monotonicMs: number,
  policy: CatalogPolicy,
): ProviderSnapshot {
  const { provider, profile, quota } = entry;
  const skip = skipOf(entry, 1, monotonicMs, policy);
  const known = entry.probed || profile.updated_at > 0;
  const lost = racesLost(entry, monotonicMs, policy);
  const far = farBehind ? ', no more than needed while others are far ahead' : '';
  const slow = lost === 0 ? far : `, fewer while it is slow (races lost lately: ${lost})`;
  const good = known ? `takes new shards${slow}` : `never probed: tried as if it were good${slow}`;
  const told = skip?.reason === 'unreachable' || entry.probeFailure === undefined;
  const probe = told ? '' : `; its last probe failed: ${entry.probeFailure}`;
  return {
    id: provider.id,
    state: skip?.reason ?? (known ? 'ok' : 'unprobed'),
    why: (skip?.why ?? good) + probe,
    score: score(entry, monotonicMs, policy),
    rttMs: measured(profile.rtt_ewma),
    lossRate: profile.loss_ewma,
    successRate: profile.success_rate_ewma,
    bytesPerSecond: measured(profile.bw_ewma),
    preferredChunk: entry.preferredChunk,
    totalChunks: profile.total_chunks,
    totalFailures: profile.total_failures,
    totalSlow: profile.total_slow,
    totalLies: profile.total_lies,
    usedBytes: entry.usedBytes,
    quotaBytes: quota === Number.POSITIVE_INFINITY ? undefined : quota,
    earnedCredits: entry.credits?.earned,
    balanceCredits: balanceOf(entry.credits),
    freeBytes: entry.freeBytes,
    maintenance: profile.maintenance,
    updatedAt: profile.updated_at,
    lastFailure: entry.lastFailure,
  };
}

const balanceOf = (credits: CreditBalance | undefined): number | undefined =>
  credits?.configured === undefined ? undefined : credits.configured + credits.earned;

const measured = (average: number): number | undefined => (average === 0 ? undefined : average);
