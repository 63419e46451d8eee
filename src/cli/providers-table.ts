import type { ProviderSnapshot } from '../catalog/catalog.ts';
import { describeFailure } from '../catalog/failures.ts';
import type { Vault } from '../vault/vault.ts';
import { bytes, counted, isoTime, table } from './format.ts';

/** A provider that objects name and the configuration lacks. */
export interface UnknownProvider {
  readonly id: string;
  readonly state: 'not_configured';
  readonly why: string;
  /** How many objects have shards there. */
  readonly objects: number;
}

/** So many manifests, the newest, are looked through. */
const MAX_LOOKED_AT = 10_000;

/** Who holds shards and is not asked for them: nothing else would say what became of them. */
export async function notConfigured(
  vault: Vault,
  configured: readonly ProviderSnapshot[],
  signal: AbortSignal,
): Promise<UnknownProvider[]> {
  const known = new Set(configured.map(({ id }) => id));
  const found = new Map<string, number>();
  for await (const { providers } of vault.listManifests({ limit: MAX_LOOKED_AT, signal })) {
    for (const id of providers) if (!known.has(id)) found.set(id, (found.get(id) ?? 0) + 1);
  }
  return [...found]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, objects]) => ({
      id,
      state: 'not_configured',
      objects,
      why: `${counted(objects, 'object')} of the newest ${MAX_LOOKED_AT} have shards there, and the configuration lacks it`,
    }));
}

/** The table, and below it the last failure of each. */
export function renderProviders(
  providers: readonly ProviderSnapshot[],
  unknown: readonly UnknownProvider[],
): string {
  const rows = providers.map((provider) => [
    provider.id,
    provider.state,
    provider.rttMs === undefined ? '-' : `${provider.rttMs.toFixed(1)} ms`,
    `${(100 * provider.lossRate).toFixed(1)} %`,
    provider.bytesPerSecond === undefined ? '-' : `${bytes(provider.bytesPerSecond)}/s`,
    bytes(provider.preferredChunk),
    `${(100 * provider.successRate).toFixed(1)} %`,
    `${provider.totalSlow} / ${provider.totalFailures} / ${provider.totalLies}`,
    provider.quotaBytes === undefined
      ? bytes(provider.usedBytes)
      : `${bytes(provider.usedBytes)} of ${bytes(provider.quotaBytes)}`,
    `${provider.earnedCredits ?? '-'} / ${provider.balanceCredits ?? '-'}`,
    provider.why,
  ]);
  const others = unknown.map(({ id, state, why }) => [
    id,
    state,
    '-',
    '-',
    '-',
    '-',
    '-',
    '-',
    '-',
    '-',
    why,
  ]);
  const head = [
    'id',
    'state',
    'RTT',
    'loss',
    'bandwidth',
    'chunk',
    'success',
    'slow/failed/lied',
    'used',
    'earned/balance',
    'why',
  ];
  return [table([head, ...rows, ...others]), ...failures(providers)].join('\n');
}

function failures(providers: readonly ProviderSnapshot[]): string[] {
  const lines = providers.flatMap(({ id, lastFailure: last }) =>
    last === undefined ? [] : [`  ${id} ${isoTime(last.at)}, a ${last.operation}: ${describeFailure(last)}`],
  );
  return lines.length === 0 ? [] : ['', 'last failures:', ...lines];
}
