import type { LinearCode } from '../../coding/erasure/linear-code.ts';
import { entryOf } from '../../core/maps.ts';
import { Certifier } from '../../placement/certificate.ts';
import { type DomainLevel, domainOf, NOT_PLACED, type PlacementProvider } from '../../placement/domains.ts';
import { canWeigh, openPlaces, type PlacesRequest, type Worth, worthOf } from '../../placement/reassign.ts';
import { rotate, solvePlacement } from '../../placement/solve.ts';

export interface ImproveRequest {
  readonly code: LinearCode;
  readonly failureDomain: DomainLevel;
  /** The provider of each shard, by chunk. */
  readonly maps: readonly (readonly string[])[];
  /** All that are configured; only those that are `eligible` get shards. */
  readonly providers: readonly PlacementProvider[];
  /** So many losses are enough. */
  readonly goal: number;
}

export interface Improvement {
  /** Where shards are to be, by `chunk × totalShards + shard`; none where that wins nothing. */
  readonly moves: ReadonlyMap<number, string>;
  /** Losses that the chunks survive now, all together, and once nothing is left to move. */
  readonly before: number;
  readonly after: number;
}

/** Shards of a chunk that are moved together: each part of them is looked at. */
const MAX_TOGETHER = 6;

interface Step {
  readonly shard: number;
  readonly place: number;
}

interface Better {
  readonly steps: readonly Step[];
  readonly before: number;
  readonly after: number;
}

/**
 * Decides which shards go elsewhere so that the chunks survive what they are to, or at least more than now: one after the
 * other from where many of a chunk are to where few are. Whichever of the moves come to nothing, no chunk survives less than now.
 * What is moved so has nothing to move for the same goal, or more to win. Chunks of which something is lost stay as they are.
 * @param rest before each chunk that takes thought, so that others are served meanwhile. @throws what that throws.
 */
export async function improve(request: ImproveRequest, rest: () => Promise<void>): Promise<Improvement> {
  const { code, maps, providers, goal } = request;
  const placeOf = new Map(providers.map(({ id }, place) => [id, place]));
  const chunks = maps.map((map) => Uint8Array.from(map, (id) => placeOf.get(id) ?? NOT_PLACED));
  const solved = new Map<string, Better>();
  const better = async (places: Uint8Array, its: number): Promise<Better> => {
    // Chunks repeat each other's places as the rotation comes round.
    const key = `${its}|${places.join()}`;
    let found = solved.get(key);
    if (found === undefined) {
      await rest();
      found = betterChunk(request, places, its);
      solved.set(key, found);
    }
    return found;
  };
  let [before, after] = [Number.POSITIVE_INFINITY, goal];
  for (const places of chunks) {
    const found = await better(places, goal);
    before = Math.min(before, found.before);
    after = Math.min(after, found.after);
  }
  const moves = new Map<number, string>();
  if (after <= before) return { moves, before, after: before };
  for (const [chunk, places] of chunks.entries()) {
    // No chunk needs more than the worst of them can have.
    for (const { shard, place } of (await better(places, after)).steps)
      moves.set(chunk * code.totalShards + shard, providers[place]!.id);
  }
  return { moves, before, after };
}

function betterChunk(request: ImproveRequest, start: Uint8Array, goal: number): Better {
  const before = survives(request, start);
  const nothing = { steps: [], before, after: before };
  if (before >= goal || start.includes(NOT_PLACED)) return nothing;
  let best = upTo(request, start, goal, evenSteps(request, start, goal));
  const holding = new Set(start);
  const { providers } = request;
  for (const isOpen of [
    (place: number) => providers[place]!.eligible === true || holding.has(place),
    (place: number) => providers[place]!.eligible === true,
  ]) {
    if (best.after >= goal) break;
    const open = [...providers.keys()].filter(isOpen);
    const its = upTo(request, start, goal, stepsToPut(request, start, open));
    if (its.after > best.after || (its.after === best.after && its.steps.length < best.steps.length))
      best = its;
  }
  if (best.after <= before) return nothing;
  let together = Math.min(MAX_TOGETHER, best.steps.length);
  while (together > 0 && !isSafe(request, start, best.steps.slice(0, together), before)) together--;
  return together === 0 ? nothing : { steps: best.steps.slice(0, together), before, after: best.after };
}

/** As many of the steps as it takes to survive the most that is of use; those first that win most. */
function upTo(
  request: PlacesRequest,
  start: Uint8Array,
  goal: number,
  steps: readonly Step[],
): Omit<Better, 'before'> {
  const left = [...steps];
  const made: Step[] = [];
  const isWeighed = canWeigh(request);
  let [places, best, after] = [start, 0, survives(request, start)];
  while (left.length > 0 && after < goal) {
    let next: (Worth & { readonly at: number }) | undefined;
    for (const [at, step] of left.entries()) {
      const then = moved(places, [step]);
      const its = isWeighed ? worthOf(request, then) : { ...ANY, tolerates: survives(request, then) };
      if (next === undefined || isMore(its, next)) next = { ...its, at };
    }
    const [step] = left.splice(next!.at, 1);
    made.push(step!);
    places = moved(places, [step!]);
    const tolerates = survives(request, places);
    if (tolerates > after) [best, after] = [made.length, tolerates];
  }
  return { steps: made.slice(0, best), after };
}

function evenSteps(request: PlacesRequest, start: Uint8Array, goal: number): Step[] {
  const steps: Step[] = [];
  let places = start;
  while (steps.length < start.length && survives(request, places) < goal) {
    const step = bestStep(request, places);
    if (step === undefined) break;
    steps.push(step);
    places = moved(places, [step]);
  }
  return steps;
}

/** What brings the chunk to where one is that is put at these providers now, by the fewest moves; none where that cannot be. */
function stepsToPut(request: PlacesRequest, start: Uint8Array, open: readonly number[]): Step[] {
  const { code, providers, failureDomain } = request;
  if (open.length === 0) return [];
  const domainAt = (place: number): string => domainOf(providers[place]!, failureDomain);
  const taking = open.map((place) => ({ id: providers[place]!.id, domain: providers[place]!.domain }));
  const put = rotate(solvePlacement({ code, providers: taking, failureDomain }), 0);
  const blocks = new Map<string, number[]>();
  for (const [shard, at] of put.entries()) entryOf(blocks, domainAt(open[at]!), () => []).push(shard);
  const pairs = [...blocks.values()].flatMap((block) =>
    [...new Set(open.map(domainAt))].map((domain) => {
      return { block, domain, stay: block.filter((shard) => domainAt(start[shard]!) === domain).length };
    }),
  );
  const takenBy = new Map<readonly number[], string>();
  const taken = new Set<string>();
  for (const { block, domain } of pairs.sort((a, b) => b.stay - a.stay)) {
    if (takenBy.has(block) || taken.has(domain)) continue;
    takenBy.set(block, domain);
    taken.add(domain);
  }
  const steps: Step[] = [];
  for (const [block, domain] of takenBy) {
    for (const shard of block) {
      if (domainAt(start[shard]!) === domain) continue;
      const place = openPlaces(request, moved(start, steps)).find((one) => domainAt(one) === domain);
      if (place === undefined) return [];
      steps.push({ shard, place });
    }
  }
  return steps;
}

/** Whether the chunk survives no less whichever of the steps are made. */
function isSafe(request: PlacesRequest, start: Uint8Array, steps: readonly Step[], least: number): boolean {
  for (let made = 1; made < 1 << steps.length; made++) {
    const its = steps.filter((_, i) => (made >> i) & 1);
    if (survives(request, moved(start, its)) < least) return false;
  }
  return true;
}

/** The shard that is best moved from one of the domains that have more of the chunk to one that has fewest. */
function bestStep(request: PlacesRequest, places: Uint8Array): Step | undefined {
  const { providers, failureDomain } = request;
  const domainAt = (place: number): string => domainOf(providers[place]!, failureDomain);
  const loads = new Map<string, number>();
  for (const place of places) loads.set(domainAt(place), (loads.get(domainAt(place)) ?? 0) + 1);
  const loadAt = (place: number): number => loads.get(domainAt(place)) ?? 0;
  const open = openPlaces(request, places);
  const least = Math.min(...open.map(loadAt));
  const emptiest = open.filter((place) => loadAt(place) === least);
  // One domain with nothing of the chunk is like the other.
  const targets = least === 0 ? emptiest.slice(0, 1) : emptiest;
  const most = Math.max(...loads.values());
  const isWeighed = canWeigh(request);
  let best: (Step & { readonly worth: Worth }) | undefined;
  for (const [shard, from] of places.entries()) {
    // Always more even than before, so that it comes to an end.
    if (loadAt(from) < least + 2 || (!isWeighed && loadAt(from) < most)) continue;
    for (const place of targets) {
      const worth = isWeighed ? worthOf(request, moved(places, [{ shard, place }])) : ANY;
      if (best === undefined || isMore(worth, best.worth)) best = { shard, place, worth };
    }
  }
  return best && { shard: best.shard, place: best.place };
}

/** Where there are too many domains to weigh them. */
const ANY: Worth = { tolerates: 0, fatal: 0 };

const isMore = (a: Worth, b: Worth): boolean =>
  a.tolerates > b.tolerates || (a.tolerates === b.tolerates && a.fatal < b.fatal);

function moved(places: Uint8Array, steps: readonly Step[]): Uint8Array {
  const next = Uint8Array.from(places);
  for (const { shard, place } of steps) next[shard] = place;
  return next;
}

function survives({ code, providers, failureDomain }: PlacesRequest, places: Uint8Array): number {
  const certifier = new Certifier({ code, providers, failureDomain });
  certifier.add(places);
  return certifier.certificate().tolerates;
}
