import type { LinearCode } from '../coding/erasure/linear-code.ts';
import { entryOf } from '../core/maps.ts';
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
  /** Also looks for better places by exchanging those of the moved shards: for who has the time. Default false. */
  readonly thorough?: boolean | undefined;
}

export type PlacesRequest = Pick<ReassignRequest, 'code' | 'providers' | 'failureDomain'>;

/** Up to this many domains each choice is weighed by what it survives; beyond, by how evenly it spreads. */
const MAX_WEIGHED = 12;

/**
 * New places for shards whose provider is full, failing or gone, one after the other, each where the chunk then
 * survives most. The other shards stay. A shard nobody can take gets {@link NOT_PLACED}. Deterministic.
 */
export function reassign(request: ReassignRequest): Uint8Array {
  const places = Uint8Array.from(request.places);
  for (const shard of request.move) places[shard] = NOT_PLACED;
  const isWeighed = canWeigh(request);
  for (const shard of request.move) {
    const options = openPlaces(request, places).map((place, rank) =>
      weigh(request, places, shard, { place, rank, isWeighed }),
    );
    options.sort(
      (a, b) => b.tolerates - a.tolerates || a.fatal - b.fatal || a.load - b.load || a.rank - b.rank,
    );
    places[shard] = options[0]?.place ?? NOT_PLACED;
  }
  return request.thorough && isWeighed ? improved(request, places) : places;
}

/** Whether there are so few domains that {@link worthOf} may be asked. */
export const canWeigh = ({ providers, failureDomain }: PlacesRequest): boolean =>
  new Set(providers.map((provider) => domainOf(provider, failureDomain))).size <= MAX_WEIGHED;

/** Exchanges that are tried. */
const MAX_TRIES = 400;

/**
 * One shard after the other goes where the chunk survives most with those placed before, which need not be where all
 * survive most together. So the places of two moved shards are exchanged, or one is moved, as long as that makes it no
 * worse. The order is drawn by a fixed seed.
 */
function improved(request: ReassignRequest, start: Uint8Array): Uint8Array {
  const moved = request.move.filter((shard) => start[shard] !== NOT_PLACED);
  if (moved.length < 2) return start;
  let seed = 1;
  const draw = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  let [best, worth] = [start, worthOf(request, start)];
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const next = Uint8Array.from(best);
    const [a, b] = [moved[draw(moved.length)]!, moved[draw(moved.length)]!];
    if (draw(2) === 0) [next[a], next[b]] = [best[b]!, best[a]!];
    else {
      const open = openPlaces(request, next);
      if (open.length > 0) next[a] = open[draw(open.length)]!;
    }
    const its = worthOf(request, next);
    if (its.tolerates > worth.tolerates || (its.tolerates === worth.tolerates && its.fatal <= worth.fatal))
      [best, worth] = [next, its];
  }
  return best;
}

/** What a chunk survives, and how many ways there are to lose one domain more than that and the chunk. */
export interface Worth {
  readonly tolerates: number;
  readonly fatal: number;
}

const MAX_KNOWN = 16_384;
const known = new WeakMap<LinearCode, Map<string, Worth>>();

/** Remembered by which shards are together, whoever holds them: chunks and segments are placed alike. */
export function worthOf(request: PlacesRequest, places: Uint8Array): Worth {
  const worths = known.get(request.code) ?? new Map<string, Worth>();
  known.set(request.code, worths);
  const key = partitionOf(request, places);
  const found = worths.get(key) ?? weighed(request, places);
  if (!worths.has(key) && worths.size >= MAX_KNOWN) worths.clear();
  worths.set(key, found);
  return found;
}

/** The same for the same shards in the same company. */
function partitionOf({ providers, failureDomain }: PlacesRequest, places: Uint8Array): string {
  const numbers = new Map<string, number>();
  const parts = Array.from(places, (at) => {
    if (at === NOT_PLACED) return NOT_PLACED;
    return entryOf(numbers, domainOf(providers[at]!, failureDomain), () => numbers.size);
  });
  return String.fromCharCode(...parts);
}

function weighed(request: PlacesRequest, places: Uint8Array): Worth {
  const { blocks, gone } = parted(request, places);
  const parts = [...blocks.values()];
  const { tolerates } = smallestFatalSet(request.code, parts, gone);
  const { fatal } = countFatalSets(request.code, parts, gone, tolerates + 1);
  return { tolerates, fatal };
}

/** Shards by domain, and those that are nowhere. */
function parted(
  { providers, failureDomain }: PlacesRequest,
  places: Uint8Array,
): { readonly blocks: ReadonlyMap<string, readonly number[]>; readonly gone: readonly number[] } {
  const blocks = new Map<string, number[]>();
  const gone: number[] = [];
  places.forEach((at, shard) => {
    if (at === NOT_PLACED) gone.push(shard);
    else entryOf(blocks, domainOf(providers[at]!, failureDomain), () => []).push(shard);
  });
  return { blocks, gone };
}

/** Of every domain, the provider that has room and holds least of this chunk. In order of rank. */
export function openPlaces({ providers, failureDomain }: PlacesRequest, places: Uint8Array): number[] {
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
  readonly isWeighed: boolean;
}

function weigh(request: ReassignRequest, places: Uint8Array, shard: number, choice: Choice): Option {
  const { place, rank, isWeighed } = choice;
  const next = Uint8Array.from(places);
  next[shard] = place;
  const { blocks } = parted(request, next);
  const load = blocks.get(domainOf(request.providers[place]!, request.failureDomain))!.length;
  return isWeighed
    ? { place, load, rank, ...worthOf(request, next) }
    : { place, load, rank, tolerates: 0, fatal: 0 };
}
