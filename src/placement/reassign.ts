import type { LinearCode } from '../coding/erasure/linear-code.ts';
import type { ShardPlaces } from './certificate.ts';
import { type DomainLevel, domainOf, groupByDomain, NOT_PLACED, type PlacementProvider } from './domains.ts';
import { countFatalSets, smallestFatalSet } from './losses.ts';

export interface ReassignRequest {
  readonly code: LinearCode;
  /** As they are now: those that failed or filled up are no longer eligible. */
  readonly providers: readonly PlacementProvider[];
  readonly failureDomain: DomainLevel;
  /** Where the chunk's shards are or were to go. */
  readonly places: ShardPlaces;
  /** Shards that need another provider. */
  readonly move: readonly number[];
}

/** Up to this many domains each choice is weighed by what it survives; beyond, by how evenly it spreads. */
const MAX_WEIGHED = 12;

/**
 * New places for shards whose provider is full, failing or gone, one after the other, each where the chunk then
 * survives most. The other shards stay. A shard nobody can take gets {@link NOT_PLACED}. Deterministic.
 */
export function reassign(request: ReassignRequest): Uint8Array {
  const places = Uint8Array.from(request.places);
  for (const shard of request.move) places[shard] = NOT_PLACED;
  const domains = new Set(request.providers.map((provider) => domainOf(provider, request.failureDomain)));
  const weighed = domains.size <= MAX_WEIGHED;
  for (const shard of request.move) {
    const options = candidates(request, places).map((place, rank) =>
      weigh(request, places, shard, { place, rank, weighed }),
    );
    options.sort(
      (a, b) => b.tolerates - a.tolerates || a.fatal - b.fatal || a.load - b.load || a.rank - b.rank,
    );
    places[shard] = options[0]?.place ?? NOT_PLACED;
  }
  return places;
}

/** Of every domain, the provider that has room and holds least of this chunk. In order of rank. */
function candidates({ providers, failureDomain }: ReassignRequest, places: Uint8Array): number[] {
  const held = (index: number): number => places.filter((place) => place === index).length;
  const open = [...providers.keys()].filter((i) => {
    const { eligible = true, maxShards = Number.POSITIVE_INFINITY } = providers[i]!;
    return eligible && held(i) < maxShards;
  });
  return groupByDomain(providers, open, failureDomain).map(({ members }) =>
    members.reduce((best, index) => (held(index) < held(best) ? index : best)),
  );
}

interface Option {
  readonly place: number;
  readonly tolerates: number;
  /** Sets of one domain more than that which would be fatal. */
  readonly fatal: number;
  /** Shards the domain would hold. */
  readonly load: number;
  readonly rank: number;
}

interface Choice {
  readonly place: number;
  readonly rank: number;
  readonly weighed: boolean;
}

function weigh(request: ReassignRequest, places: Uint8Array, shard: number, choice: Choice): Option {
  const { place, rank, weighed } = choice;
  const { code, providers, failureDomain } = request;
  const blocks = new Map<string, number[]>();
  const gone: number[] = [];
  places.forEach((at, i) => {
    const home = i === shard ? place : at;
    if (home === NOT_PLACED) {
      gone.push(i);
      return;
    }
    const label = domainOf(providers[home]!, failureDomain);
    blocks.set(label, [...(blocks.get(label) ?? []), i]);
  });
  const load = blocks.get(domainOf(providers[place]!, failureDomain))!.length;
  if (!weighed) return { place, tolerates: 0, fatal: 0, load, rank };
  const parts = [...blocks.values()];
  const { tolerates } = smallestFatalSet(code, parts, gone);
  const { fatal } = countFatalSets(code, parts, gone, tolerates + 1);
  return { place, tolerates, fatal, load, rank };
}
