import type { LinearCode } from '../../coding/erasure/linear-code.ts';
import { entryOf } from '../../core/maps.ts';
import { Certifier, type ShardPlaces } from '../../placement/certificate.ts';
import { type DomainLevel, NOT_PLACED, type PlacementProvider } from '../../placement/domains.ts';
import { reassign } from '../../placement/reassign.ts';

/** Which provider is to be left, and on what terms. */
export interface Leaving {
  readonly from: string;
  /** Where all of it goes. Default: where each chunk then survives most. */
  readonly to?: string | undefined;
  /** So many losses are enough, though it be fewer than now. Default: as many as now. */
  readonly minTolerates?: number | undefined;
}

export interface NewPlacesRequest extends Leaving {
  readonly code: LinearCode;
  readonly failureDomain: DomainLevel;
  /** The provider of each shard, by chunk. */
  readonly maps: readonly (readonly string[])[];
  /** All that are configured; only those that are `eligible` get shards. */
  readonly providers: readonly PlacementProvider[];
  /** Providers that are gone for good: what they hold is not counted. */
  readonly gone: ReadonlySet<string>;
}

export interface NewPlaces {
  /** By chunk: where its shards that are at the provider are to be. */
  readonly moves: readonly ReadonlyMap<number, string>[];
  /** Losses that the chunks survive now, all together, and then. −1: a chunk is lost. */
  readonly before: number;
  readonly after: number;
  /** That is enough. */
  readonly isAllowed: boolean;
  /** Shards that nobody can take. */
  readonly homeless: number;
}

/** Decides where the shards are to be that a provider has of some chunks. The others stay where they are. Pure. */
export function newPlaces(request: NewPlacesRequest): NewPlaces {
  const { code, providers, failureDomain, maps, gone, minTolerates } = request;
  const now = new Certifier({ code, providers, failureDomain });
  const then = new Certifier({ code, providers, failureDomain });
  const placeOf = new Map(providers.map(({ id }, place) => [id, place]));
  for (const id of gone) placeOf.delete(id);
  const idAt = (places: Uint8Array, shard: number): string => providers[places[shard]!]!.id;
  const solved = new Map<string, Uint8Array>();
  let homeless = 0;
  const moves = maps.map((map) => {
    const places = Uint8Array.from(map, (id) => placeOf.get(id) ?? NOT_PLACED);
    now.add(places);
    const move = [...map.keys()].filter((shard) => map[shard] === request.from);
    // Chunks repeat each other's places as the rotation comes round.
    const next = entryOf(solved, map.join('\n'), () => moved(request, places, move));
    then.add(next);
    homeless += move.filter((shard) => next[shard] === NOT_PLACED).length;
    return new Map(move.flatMap((shard) => (next[shard] === NOT_PLACED ? [] : [[shard, idAt(next, shard)]])));
  });
  const [before, after] = [now.certificate().tolerates, then.certificate().tolerates];
  const isAllowed = homeless === 0 && after >= Math.min(before, minTolerates ?? before);
  return { moves, before, after, isAllowed, homeless };
}

/** Where each shard goes by itself; or all to one provider, where the chunk survives more then. */
function moved(request: NewPlacesRequest, places: Uint8Array, move: readonly number[]): Uint8Array {
  const { code, providers, failureDomain, to, from } = request;
  const takers = [...providers.keys()].filter((place) => {
    const { id, eligible } = providers[place]!;
    return eligible === true && id !== from && (to === undefined || id === to);
  });
  const open = providers.map((one, place) => ({ ...one, eligible: takers.includes(place) }));
  const apart = reassign({ code, providers: open, failureDomain, places, move });
  const together = takers.map((taker) =>
    places.map((place, shard) => (move.includes(shard) ? taker : place)),
  );
  const survives = (its: ShardPlaces): number => {
    const certifier = new Certifier({ code, providers, failureDomain });
    certifier.add(its);
    return certifier.certificate().tolerates;
  };
  let best = { places: apart, tolerates: survives(apart) };
  for (const one of together) {
    const tolerates = survives(one);
    if (tolerates > best.tolerates) best = { places: one, tolerates };
  }
  return best.places;
}
