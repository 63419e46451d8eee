import { createLinearCode } from '../../coding/erasure/code.ts';
import type { LinearCode } from '../../coding/erasure/linear-code.ts';
import { type AbortOptions, throwIfAborted } from '../../core/abort.ts';
import { isHoldfastError } from '../../core/errors.ts';
import type { PlacementClass } from '../../manifest/shard-rows.ts';
import { placementClasses, segmentsIn } from '../../records/shard-index.ts';
import type { MovingContext } from '../context.ts';
import { candidates } from '../repair/repair-segment.ts';
import { bytesAt } from './evacuate.ts';
import { type Leaving, type NewPlaces, newPlaces } from './new-places.ts';

/** What moving shards away from a provider will take, by the index of shards; without manifest nodes, which are small. */
export interface EvacuationPlan {
  /** Segments that will be moved, and the bytes of what they have there. */
  readonly segments: number;
  readonly bytes: number;
  /** Read to move them, and read back to check what was stored. */
  readonly bytesRead: number;
  readonly bytesReadBack: number;
  readonly bytesWritten: number;
  /** To all providers, at least. */
  readonly requests: number;
  /** GiB that are read, each times the `price` of its provider, in the unit that the prices are in. */
  readonly cost: number;
  /** By the pace of repair and its cap of a day; undefined: the cap lets nothing be read. */
  readonly ms: number | undefined;
  /** What stays, for it would survive fewer losses otherwise, or nobody takes it. */
  readonly refused: RefusedPart;
}

export interface RefusedPart {
  readonly segments: number;
  readonly bytes: number;
  /** Losses that the worst of it survives now, and would survive then; undefined where that is not why. */
  readonly before: number | undefined;
  readonly after: number | undefined;
}

interface PlanLimits {
  readonly bytesPerSecond: number;
  readonly clusterBytesPerSecond: number;
  readonly egressPerDay: number;
}

interface PlanOptions extends Leaving, AbortOptions {
  readonly gone: ReadonlySet<string>;
  /** The provider can be read. */
  readonly isAnswering: boolean;
}

const GIB = 1024 ** 3;
const DAY_MS = 86_400_000;

/** One look at each class of segments, and one at each segment's row. Asks no provider. @throws what the engine throws; `Aborted`. */
export async function planEvacuation(
  context: MovingContext,
  limits: PlanLimits,
  options: PlanOptions,
): Promise<EvacuationPlan> {
  const sum = {
    segments: 0,
    bytes: 0,
    bytesRead: 0,
    bytesReadBack: 0,
    bytesWritten: 0,
    requests: 0,
    cost: 0,
  };
  const refused: { -readonly [K in keyof RefusedPart]: RefusedPart[K] } = {
    ...{ segments: 0, bytes: 0, before: undefined, after: undefined },
  };
  const read = new Map<string, number>();
  const priceOf = (id: string): number => context.directory.get(id)?.price ?? 1;
  for await (const one of placementClasses(context, options)) {
    throwIfAborted(options.signal, 'evacuation');
    if (!one.maps.some((map) => map.includes(options.from))) continue;
    const its = planOfClass(context, one, options);
    for await (const segment of segmentsIn(context, one.id, options)) {
      const bytes = bytesAt(segment, options.from);
      if (!its.places.isAllowed) {
        refused.segments++;
        refused.bytes += bytes;
        continue;
      }
      sum.segments++;
      sum.bytes += bytes;
      for (const [id, share] of its.reads) {
        read.set(id, (read.get(id) ?? 0) + share * bytes);
        sum.bytesRead += share * bytes;
        sum.cost += ((share * bytes) / GIB) * priceOf(id);
      }
      for (const [id, share] of its.writes) {
        sum.cost += ((share * bytes) / GIB) * priceOf(id);
        // It is read back.
        read.set(id, (read.get(id) ?? 0) + share * bytes);
      }
      sum.bytesWritten += bytes;
      sum.bytesReadBack += bytes;
      sum.requests += its.reads.size + 2 * its.writes.size;
    }
    if (!its.places.isAllowed && its.places.homeless === 0 && its.places.after <= (refused.after ?? 255)) {
      refused.before = its.places.before;
      refused.after = its.places.after;
    }
  }
  sum.bytesRead = Math.round(sum.bytesRead);
  return { ...sum, ms: timeOf(sum, read, limits), refused };
}

function timeOf(
  {
    bytesRead,
    bytesWritten,
    bytesReadBack,
  }: Pick<EvacuationPlan, 'bytesRead' | 'bytesWritten' | 'bytesReadBack'>,
  read: ReadonlyMap<string, number>,
  { bytesPerSecond, clusterBytesPerSecond, egressPerDay }: PlanLimits,
): number | undefined {
  const most = Math.max(0, ...read.values());
  if (most > 0 && egressPerDay === 0) return undefined;
  const days = most === 0 ? 0 : Math.ceil(most / egressPerDay) - 1;
  const rate = Math.min(bytesPerSecond, clusterBytesPerSecond);
  return Math.max(days * DAY_MS, Math.round(((bytesRead + bytesWritten + bytesReadBack) / rate) * 1000));
}

interface PlanOfClass {
  readonly places: NewPlaces;
  /** Bytes read and written at each provider, of one byte that is moved. */
  readonly reads: ReadonlyMap<string, number>;
  readonly writes: ReadonlyMap<string, number>;
}

function planOfClass(context: MovingContext, one: PlacementClass, options: PlanOptions): PlanOfClass {
  const { from, to, minTolerates, gone, isAnswering } = options;
  const code = createLinearCode(one.code);
  const providers = candidates(context, { lost: new Set([...gone, from]) });
  const request = { code, failureDomain: one.level, maps: one.maps, providers, gone };
  const places = newPlaces({ ...request, from, to, minTolerates });
  const reads = new Map<string, number>();
  const writes = new Map<string, number>();
  let shards = 0;
  for (const [chunk, moves] of places.moves.entries()) {
    shards += moves.size;
    for (const id of moves.values()) writes.set(id, (writes.get(id) ?? 0) + 1);
    const map = one.maps[chunk]!;
    const isThere = (shard: number): boolean =>
      !gone.has(map[shard]!) && (map[shard] !== from || isAnswering);
    for (const shard of readFor(code, [...moves.keys()], isThere)) {
      reads.set(map[shard]!, (reads.get(map[shard]!) ?? 0) + 1);
    }
  }
  const shares = (counts: Map<string, number>): Map<string, number> =>
    new Map([...counts].map(([id, count]) => [id, count / Math.max(1, shards)]));
  return { places, reads: shares(reads), writes: shares(writes) };
}

function readFor(
  code: LinearCode,
  wanted: readonly number[],
  isThere: (shard: number) => boolean,
): readonly number[] {
  const direct = wanted.filter(isThere);
  const missing = wanted.filter((shard) => !isThere(shard));
  if (missing.length === 0) return direct;
  const usable = Array.from({ length: code.totalShards }, (_, shard) => shard).filter(isThere);
  try {
    return [...new Set([...direct, ...code.repairPlan(missing, usable).reads])];
  } catch (error) {
    if (isHoldfastError(error) && error.code === 'undecodable') return direct;
    throw error;
  }
}
