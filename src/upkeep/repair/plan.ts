import type { LinearCode } from '../../coding/erasure/linear-code.ts';
import { locate, type SegmentView } from '../../object/places.ts';
import { Certifier } from '../../placement/certificate.ts';
import { type DomainLevel, domainOf, NOT_PLACED, type PlacementProvider } from '../../placement/domains.ts';
import { reassign } from '../../placement/reassign.ts';

export interface RepairRequest {
  /** With its shards where they are now. */
  readonly view: SegmentView;
  /** Shards that are not, or not right, where they ought to be: `chunk × totalShards + shard`. */
  readonly lost: ReadonlySet<number>;
  /** Shards that are stored anew where they are, though nothing is wrong with them; left alone where that cannot be now. */
  readonly rewrite?: ReadonlySet<number> | undefined;
  /** All that are configured; those that are lost, or take no new shards now, are not `eligible`. */
  readonly providers: readonly PlacementProvider[];
  /** Those that are left out only because something was gone or altered there lately, and whether most of what they did was right. */
  readonly doubtful?: ReadonlyMap<string, boolean> | undefined;
  /** Those that may take shards again, though not now. */
  readonly away?: ReadonlySet<string> | undefined;
  readonly failureDomain: DomainLevel;
}

export interface RepairOfSegment {
  /** Where each lost shard of a chunk that can be rebuilt is to be. */
  readonly moves: ReadonlyMap<number, string>;
  /** Chunks of the segment of which too few shards are left. */
  readonly hopeless: readonly number[];
  /** Lost shards that nobody can take. */
  readonly homeless: readonly number[];
  /** Failure domains that may vanish now, before anything is repaired; −1: a chunk is lost. */
  readonly tolerates: number;
}

/**
 * Decides where the lost shards of a segment are to be. One whose provider takes shards goes back there: a pack that was
 * lost as a whole keeps its address then. Each of the others goes where its chunk then survives most. One whose provider is
 * doubtful goes back there, where what is stored is read back, if its chunk would survive less otherwise.
 * @param rest before each chunk that takes thought, so that others are served meanwhile. @throws what that throws.
 */
export async function planRepair(
  request: RepairRequest,
  rest: () => Promise<void>,
): Promise<RepairOfSegment> {
  const { view, lost, providers, failureDomain } = request;
  const { code } = view;
  const certifier = new Certifier({ code, providers, failureDomain });
  const moves = new Map<number, string>();
  const homeless: number[] = [];
  const hopeless: number[] = [];
  const solved = new Map<string, ChunkRepair>();
  for (let chunk = 0; chunk < view.shardLengths.length; chunk++) {
    const places = placesOf(request, chunk);
    const missing = Array.from({ length: code.totalShards }, (_, shard) => shard).filter((shard) =>
      lost.has(chunk * code.totalShards + shard),
    );
    const left = places.map((place, shard) => (missing.includes(shard) ? NOT_PLACED : place));
    certifier.add(left);
    if (missing.length > 0 && !decodes(code, left)) {
      hopeless.push(chunk);
      continue;
    }
    for (const [at, provider] of rewritten(request, chunk, places)) moves.set(at, provider);
    if (missing.length === 0) continue;
    // Chunks repeat each other's places as the rotation comes round.
    const key = `${places.join()}|${missing.join()}`;
    let repair = solved.get(key);
    if (repair === undefined) {
      await rest();
      repair = repairOfChunk(request, places, missing);
      solved.set(key, repair);
    }
    for (const [shard, provider] of repair) {
      const at = chunk * code.totalShards + shard;
      if (provider === undefined) homeless.push(at);
      else moves.set(at, provider);
    }
  }
  return { moves, hopeless, homeless, tolerates: certifier.certificate().tolerates };
}

/** Shards of a chunk that are stored anew at the providers that they are at, and those. */
function* rewritten(
  { view, lost, rewrite, providers }: RepairRequest,
  chunk: number,
  places: Uint8Array,
): Generator<[number, string]> {
  for (const [shard, place] of places.entries()) {
    const at = chunk * view.code.totalShards + shard;
    const provider = providers[place];
    if (provider?.eligible && rewrite?.has(at) && !lost.has(at)) yield [at, provider.id];
  }
}

/** By shard; undefined: nobody can take it. */
type ChunkRepair = ReadonlyMap<number, string | undefined>;

function repairOfChunk(request: RepairRequest, places: Uint8Array, missing: readonly number[]): ChunkRepair {
  const { view, providers, failureDomain, doubtful } = request;
  const doubtOf = (shard: number): boolean | undefined => doubtful?.get(providers[places[shard]!]?.id ?? '');
  const move = missing.filter((shard) => providers[places[shard]!]?.eligible !== true);
  const movedAway = (its: readonly number[]): Uint8Array =>
    reassign({ code: view.code, providers, failureDomain, places, move: its, thorough: true });
  let after = movedAway(move);
  if (move.some((shard) => doubtOf(shard) === true)) {
    const survives = (its: Uint8Array): number => {
      const certifier = new Certifier({ code: view.code, providers, failureDomain });
      certifier.add(its);
      return certifier.certificate().tolerates;
    };
    const back = movedAway(move.filter((shard) => doubtOf(shard) !== true));
    if (survives(back) > survives(after)) after = back;
  }
  const placeOf = (shard: number): number =>
    after[shard] === NOT_PLACED && doubtOf(shard) !== undefined ? places[shard]! : after[shard]!;
  const then = Uint8Array.from(places, (place, shard) => (missing.includes(shard) ? placeOf(shard) : place));
  const waits = (shard: number): boolean => move.includes(shard) && isInVain(request, then, shard);
  return new Map(missing.map((shard) => [shard, waits(shard) ? undefined : providers[then[shard]!]?.id]));
}

/**
 * Whether a copy would be in a failure domain that has another, though there is a provider elsewhere that may come back: it
 * would win nothing, and nothing would be due any more that has it put where it does.
 */
function isInVain(
  { view, providers, away, failureDomain }: RepairRequest,
  places: Uint8Array,
  shard: number,
): boolean {
  if (view.code.dataShards > 1) return false;
  const domainAt = (place: number): string | undefined =>
    providers[place] && domainOf(providers[place], failureDomain);
  const domains = [...places].map(domainAt);
  const its = domains[shard];
  if (its === undefined || domains.filter((one) => one === its).length < 2) return false;
  return [...providers.keys()].some(
    (place) => away?.has(providers[place]!.id) === true && !domains.includes(domainAt(place)),
  );
}

/** The place of each shard's provider in the list; {@link NOT_PLACED} for one that is not configured. */
function placesOf({ view, providers }: RepairRequest, chunk: number): Uint8Array {
  return Uint8Array.from({ length: view.code.totalShards }, (_, shard) => {
    const { provider } = locate(view, chunk, shard).pack;
    const place = providers.findIndex(({ id }) => id === provider);
    return place < 0 ? NOT_PLACED : place;
  });
}

const decodes = (code: LinearCode, places: Uint8Array): boolean =>
  code.decodable([...places.keys()].filter((shard) => places[shard] !== NOT_PLACED));
