import type { ProviderProfile } from '../profiles/index.ts';
import type { CatalogEntry } from './entry.ts';
import type { CatalogPolicy } from './policy.ts';

export const SKIP_REASONS = [
  'maintenance',
  'profile_unreadable',
  'quarantined',
  'over_quota',
  'full',
  'recently_failing',
] as const;

export type SkipReason = (typeof SKIP_REASONS)[number];

export interface Skip {
  readonly reason: SkipReason;
  /** One clause for a person, with the figures. */
  readonly why: string;
}

/** Stands for the RTT of a provider that was never measured, so that it is tried. */
const OPTIMISTIC_RTT_MS = 1;

/** (1 − loss) · success rate / RTT; the higher, the better. */
export function score(profile: ProviderProfile): number {
  const rttMs = profile.rtt_ewma === 0 ? OPTIMISTIC_RTT_MS : profile.rtt_ewma;
  return ((1 - profile.loss_ewma) * profile.success_rate_ewma) / rttMs;
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
  return quarantined(entry, policy) ?? withoutRoom(entry, bytes) ?? failing(entry, monotonicMs, policy);
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
  const { count, cooldownMs } = policy.failing;
  const { recent_failures } = entry.profile;
  // What is remembered over a restart is the count; a grave failure alone is enough while this process lasts.
  const since = recent_failures < count ? entry.graveAt : entry.failedAt;
  if (since === undefined) return undefined;
  const left = since + cooldownMs - monotonicMs;
  if (left <= 0) return undefined;
  const { lastFailure } = entry;
  const last = lastFailure === undefined ? '' : `, the last a ${lastFailure.operation}: ${lastFailure.code}`;
  const again = `tried again in ${Math.ceil(left / 1000)} s`;
  return skip('recently_failing', `${recent_failures} recent failures${last}; ${again}`);
}

const skip = (reason: SkipReason, why: string): Skip => ({ reason, why });

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
