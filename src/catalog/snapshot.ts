import type { ProviderSnapshot } from './catalog.ts';
import type { CatalogEntry } from './entry.ts';
import type { CatalogPolicy } from './policy.ts';
import { score, skipOf } from './rank.ts';

export function snapshotOf(
  entry: CatalogEntry,
  monotonicMs: number,
  policy: CatalogPolicy,
): ProviderSnapshot {
  const { provider, profile, quota } = entry;
  const skip = skipOf(entry, 1, monotonicMs, policy);
  const known = entry.probed || profile.updated_at > 0;
  const good = known ? 'takes new shards' : 'never probed: tried as if it were good';
  const probe = entry.probeFailure === undefined ? '' : `; its last probe failed: ${entry.probeFailure}`;
  return {
    id: provider.id,
    state: skip?.reason ?? (known ? 'ok' : 'unprobed'),
    why: (skip?.why ?? good) + probe,
    score: score(profile),
    rttMs: measured(profile.rtt_ewma),
    lossRate: profile.loss_ewma,
    successRate: profile.success_rate_ewma,
    bytesPerSecond: measured(profile.bw_ewma),
    preferredChunk: entry.preferredChunk,
    totalChunks: profile.total_chunks,
    totalFailures: profile.total_failures,
    usedBytes: entry.usedBytes,
    quotaBytes: quota === Number.POSITIVE_INFINITY ? undefined : quota,
    freeBytes: entry.freeBytes,
    maintenance: profile.maintenance,
    updatedAt: profile.updated_at,
  };
}

const measured = (average: number): number | undefined => (average === 0 ? undefined : average);
