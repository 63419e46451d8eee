import type { ProviderSnapshot } from './catalog.ts';
import type { CatalogEntry } from './entry.ts';
import type { CatalogPolicy } from './policy.ts';
import { racesLost, score, skipOf } from './rank.ts';

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
    freeBytes: entry.freeBytes,
    maintenance: profile.maintenance,
    updatedAt: profile.updated_at,
    lastFailure: entry.lastFailure,
  };
}

const measured = (average: number): number | undefined => (average === 0 ? undefined : average);
