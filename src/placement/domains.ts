/** The level at which losses are counted. */
export type DomainLevel = 'provider' | 'account' | 'region';

/** Labels of what fails together; see {@link domainOf} for how they are read. */
interface DomainLabels {
  readonly provider: string;
  readonly account: string;
  readonly region: string;
}

/** What placement needs to know of a provider. */
export interface PlacementProvider {
  readonly id: string;
  readonly domain: DomainLabels;
  /** Higher is better. Decides who comes first where all else is equal. */
  readonly score?: number | undefined;
  /** Shards of one chunk it may take, from its quota. Default: any number. */
  readonly maxShards?: number | undefined;
  /** False (full, failing, in maintenance, quarantined): gets no new shards. Default true. */
  readonly eligible?: boolean | undefined;
}

/** A shard that is stored nowhere, in a map from shards to providers. */
export const NOT_PLACED = 255;
/** Places in the list of providers fit one byte beside {@link NOT_PLACED}. */
export const MAX_PROVIDERS = 255;

/**
 * The name of the domain a provider falls with. Accounts belong to their operator: two operators' accounts of one
 * name are two domains. A region is one domain whoever runs what stands there.
 */
export function domainOf(provider: Pick<PlacementProvider, 'domain'>, level: DomainLevel): string {
  const { domain } = provider;
  return level === 'account' ? `${domain.provider}/${domain.account}` : domain[level];
}

export interface Domain {
  readonly label: string;
  /** Places in the list of providers, best score first. */
  readonly members: readonly number[];
}

/** Domains in order of their best member's score, then label; members by score, then id. */
export function groupByDomain(
  providers: readonly PlacementProvider[],
  members: readonly number[],
  level: DomainLevel,
): Domain[] {
  const ranked = [...members].sort((a, b) => byRank(providers[a]!, providers[b]!));
  const groups = new Map<string, number[]>();
  for (const index of ranked) {
    const label = domainOf(providers[index]!, level);
    const group = groups.get(label);
    if (group) group.push(index);
    else groups.set(label, [index]);
  }
  return [...groups].map(([label, group]) => ({ label, members: group }));
}

/** Code-unit order, so that every machine agrees. */
function byRank(a: PlacementProvider, b: PlacementProvider): number {
  const difference = (b.score ?? 0) - (a.score ?? 0);
  if (difference !== 0) return difference;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
