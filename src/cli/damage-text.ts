import type { Damage } from '../object/damage.ts';

/** More providers or details than this are summed up. */
const MAX_LINES = 40;

/** Why each provider was of no use, once. */
export function reasonsOf(damage: readonly Damage[]): string[] {
  return [...new Set(damage.map(({ provider, problem, detail }) => `${provider}: ${detail ?? problem}`))];
}

/** One line per provider, blob and problem: which shards of which chunks. One alone for who does not answer. */
export function describeDamage(damage: readonly Damage[]): string[] {
  const groups = new Map<string, { head: string; shards: string[]; detail: string | undefined }>();
  for (const { provider, problem, blob, chunk, shard, detail } of damage) {
    const where = problem === 'unavailable' ? '' : ` in ${blob}`;
    const key = `${provider} ${problem}${where}`;
    const group = groups.get(key) ?? { head: `${provider}: ${problem}${where}`, shards: [], detail };
    if (shard !== undefined) group.shards.push(`chunk ${chunk} shard ${shard}`);
    groups.set(key, group);
  }
  const lines = [...groups.values()].map(({ head, shards, detail }) => {
    const listed = shards.slice(0, 8).join(', ');
    const more = shards.length > 8 ? ` and ${shards.length - 8} more` : '';
    const what = shards.length > 0 ? `: ${listed}${more}` : ': manifest node';
    return `${head}${what}${detail === undefined ? '' : ` (${detail})`}`;
  });
  if (lines.length <= MAX_LINES) return lines;
  return [...lines.slice(0, MAX_LINES), `… and ${lines.length - MAX_LINES} more`];
}

/** Why a provider counts as gone for good. */
export const WHY_LOST = {
  declared: 'declared lost',
  not_configured: 'not configured any more',
  silent: 'silent for longer than repair.lost_after_hours',
} as const;
