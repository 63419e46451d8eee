import type { LinearCode } from '../coding/erasure/linear-code.ts';
import { HoldfastError } from '../core/errors.ts';
import { standings } from '../core/standing.ts';
import { type Certificate, certify } from './certificate.ts';
import {
  type Domain,
  type DomainLevel,
  groupByDomain,
  MAX_PROVIDERS,
  type PlacementProvider,
} from './domains.ts';
import type { Block } from './losses.ts';
import { templateFor } from './template.ts';

export interface PlacementRequest {
  readonly code: LinearCode;
  /** At most {@link MAX_PROVIDERS}. Placements name them by their place in this list. */
  readonly providers: readonly PlacementProvider[];
  readonly failureDomain: DomainLevel;
}

/** Where an object's shards go. Chunks take turns, see {@link rotate}; every turn tolerates as much as the certificate says. */
export interface Placement {
  readonly code: LinearCode;
  /** Of turn 0. */
  readonly certificate: Certificate;
  readonly slots: readonly Slot[];
}

/** A block of the template, and the domains that take it by turns. */
interface Slot {
  readonly block: Block;
  /** The domains whose turn it may be, and which of them begins. */
  readonly ring: readonly Seats[];
  readonly first: number;
}

/** Places in the list of providers, each as often as the provider may take a shard of a chunk, well mixed. */
type Seats = readonly number[];

/**
 * Spreads the shards of a chunk so that as many failure domains may vanish as the code allows; then so that providers
 * far behind the best in score take as few as that lets them; then so that bytes are even, within what each may take.
 * Pure, and the same everywhere for the same request.
 * @throws HoldfastError `Unavailable` (code `no_providers`) when none is eligible; `QuotaExceeded` when together they
 * take fewer shards than a chunk has.
 */
export function solvePlacement(request: PlacementRequest): Placement {
  const even = solveEven(request);
  return relieved(request, even) ?? even;
}

/** Shards of one chunk that those far behind are tried with, the fewest first. */
const FEW = [0, 1, 2, 4] as const;

/**
 * The placement in which those behind the best hold fewer shards, the last first, while as many domains may vanish as
 * before; undefined when nobody is behind or nobody can be spared.
 */
function relieved(request: PlacementRequest, even: Placement): Placement | undefined {
  const { providers } = request;
  // Where nothing may vanish anyway, all could go to one.
  if (even.certificate.tolerates < 1) return undefined;
  const taking = providers.filter(({ eligible = true }) => eligible);
  const standing = new Map(
    standings(taking.map(({ score = 1 }) => score)).map((at, i) => [taking[i]!.id, at]),
  );
  let found: Placement | undefined;
  let limited = providers;
  for (const behind of [...new Set(standing.values())].sort((a, b) => b - a)) {
    if (behind === 0) break;
    for (const few of FEW) {
      const tried = limited.map((provider) =>
        standing.get(provider.id) === behind
          ? { ...provider, maxShards: Math.min(few, provider.maxShards ?? few) }
          : provider,
      );
      const placement = solveAsSafe({ ...request, providers: tried }, even.certificate.tolerates);
      if (placement === undefined) continue;
      found = placement;
      limited = tried;
      break;
    }
  }
  return found;
}

/** Undefined when fewer domains could vanish, or there is no room. */
function solveAsSafe(request: PlacementRequest, tolerates: number): Placement | undefined {
  const { code, providers, failureDomain } = request;
  if (!providers.some(({ eligible = true, maxShards = 1 }) => eligible && maxShards > 0)) return undefined;
  const rooms = eligibleDomains(providers, failureDomain).map(({ members }) =>
    members.reduce(
      (sum, i) => sum + Math.min(code.totalShards, providers[i]!.maxShards ?? code.totalShards),
      0,
    ),
  );
  if (rooms.reduce((sum, room) => sum + room, 0) < code.totalShards) return undefined;
  // No code survives the loss of more shards than it has parity; the search need not find that out.
  const largest = even(code.totalShards, rooms)
    .sort((a, b) => b - a)
    .slice(0, tolerates);
  const lost = largest.reduce((sum, size) => sum + size, 0);
  if (lost > code.totalShards - code.dataShards) return undefined;
  const placement = solveEven(request);
  return placement.certificate.tolerates >= tolerates ? placement : undefined;
}

function solveEven({ code, providers, failureDomain }: PlacementRequest): Placement {
  const domains = eligibleDomains(providers, failureDomain);
  const seats = domains.map((domain) => seatsOf(domain, providers, code.totalShards));
  const sizes = even(
    code.totalShards,
    seats.map((seat) => seat.length),
  );
  const slots = slotsOf(code, seats, sizes);
  const places = placeChunk(slots, code.totalShards, 0);
  return { code, slots, certificate: certify({ code, providers, failureDomain, placements: [places] }) };
}

/**
 * The places of one chunk: shard → place in the list of providers. Blocks go round among the domains that can take
 * them, and within a domain among its providers, so that bytes and leads even out over an object.
 * @param turn the chunk's index, or that plus a number drawn from the object so that small objects even out too.
 */
export function rotate({ slots, code }: Placement, turn: number): Uint8Array {
  return placeChunk(slots, code.totalShards, turn);
}

function placeChunk(slots: readonly Slot[], totalShards: number, turn: number): Uint8Array {
  const places = new Uint8Array(totalShards);
  for (const { block, ring, first } of slots) {
    const seats = ring[(first + turn) % ring.length]!;
    const start = Math.floor(turn / ring.length);
    for (let i = 0; i < block.length; i++) places[block[i]!] = seats[(start + i) % seats.length]!;
  }
  return places;
}

function eligibleDomains(providers: readonly PlacementProvider[], level: DomainLevel): Domain[] {
  if (providers.length > MAX_PROVIDERS) {
    throw new TypeError(`a placement takes up to ${MAX_PROVIDERS} providers, not ${providers.length}`);
  }
  const takers = [...providers.keys()].filter((i) => {
    const { eligible = true, maxShards = 1 } = providers[i]!;
    return eligible && maxShards > 0;
  });
  if (takers.length > 0) return groupByDomain(providers, takers, level);
  const hint = 'see why in the list of providers: full, failing, in maintenance or quarantined';
  throw new HoldfastError('Unavailable', 'no provider can take new shards', {
    operation: 'place',
    code: 'no_providers',
    hint,
  });
}

/** Round-robin over the domain's providers, each up to its limit. */
function seatsOf(domain: Domain, providers: readonly PlacementProvider[], totalShards: number): Seats {
  const left = domain.members.map((index) => ({ index, room: providers[index]!.maxShards ?? totalShards }));
  const seats: number[] = [];
  while (seats.length < totalShards) {
    const before = seats.length;
    for (const member of left) {
      if (member.room < 1 || seats.length === totalShards) continue;
      member.room--;
      seats.push(member.index);
    }
    if (seats.length === before) break;
  }
  return seats;
}

/** As even as the limits allow; what does not divide goes to the first. */
function even(total: number, limits: readonly number[]): number[] {
  const sizes = limits.map(() => 0);
  for (let placed = 0; placed < total; placed++) {
    let best = -1;
    for (let i = 0; i < sizes.length; i++) {
      if (sizes[i]! < limits[i]! && (best < 0 || sizes[i]! < sizes[best]!)) best = i;
    }
    if (best < 0) {
      const room = limits.reduce((sum, limit) => sum + limit, 0);
      throw new HoldfastError(
        'QuotaExceeded',
        `the providers take ${room} of the ${total} shards of a chunk`,
        {
          operation: 'place',
          context: { room, needed: total },
          hint: 'raise credits, delete objects or add a provider',
        },
      );
    }
    sizes[best]!++;
  }
  return sizes;
}

/**
 * Larger blocks to roomier domains. Domains of equal room share a ring, and so do those beyond the number of shards,
 * whose turn comes later.
 */
function slotsOf(code: LinearCode, seats: readonly Seats[], sizes: readonly number[]): Slot[] {
  const largest = Math.max(...sizes);
  const holders = sizes
    .map((size, domain) => ({ size, domain, room: Math.min(seats[domain]!.length, largest) }))
    .sort((a, b) => b.size - a.size || b.room - a.room || a.domain - b.domain);
  const rings = new Map<number, Seats[]>();
  for (const { room } of holders) rings.set(room, []);
  const { blocks } = templateFor(
    code,
    holders.map(({ size }) => size).filter((size) => size > 0),
  );
  return holders.flatMap(({ domain, room }, i): Slot[] => {
    const ring = rings.get(room)!;
    ring.push(seats[domain]!);
    return blocks[i] === undefined ? [] : [{ block: blocks[i], ring, first: ring.length - 1 }];
  });
}
