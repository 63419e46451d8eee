import { createLinearCode } from '../../coding/erasure/code.ts';
import { type AbortOptions, throwIfAborted } from '../../core/abort.ts';
import { asHoldfastError } from '../../core/errors.ts';
import { decodeRoot } from '../../manifest/root.ts';
import type { PlacementClass } from '../../manifest/shard-rows.ts';
import { DamageLog } from '../../object/damage.ts';
import { loadRoot, manifestStands } from '../../records/manifests.ts';
import { type IndexedSegment, placementClasses, segmentsIn } from '../../records/shard-index.ts';
import type { MovingContext } from '../context.ts';
import { atOnce, Room, segmentsAtOnce } from '../repair/at-once.ts';
import { candidates } from '../repair/repair-segment.ts';
import { bytesAt, type EvacuationTools } from './evacuate.ts';
import { evacuateSegment } from './evacuate-segment.ts';
import { newPlaces } from './new-places.ts';
import { tellMove } from './told.ts';

/** Who has how much of the packs of all objects, by the index of shards. */
export interface Balance {
  readonly provider: string;
  readonly bytes: number;
}

export interface RebalanceRunResult {
  /** Packs that were moved, and their bytes, which were read, written and read back. */
  readonly packs: number;
  readonly bytes: number;
  /** Segments that could not be moved now. */
  readonly failed: number;
  /** Why the first of them could not. */
  readonly why: string | undefined;
  /** Those that take new shards, the fullest first. */
  readonly after: readonly Balance[];
  /** All of them are within a tenth of the mean. */
  readonly isEven: boolean;
}

export interface RebalancePlan extends Omit<RebalanceRunResult, 'failed' | 'why'> {
  /** GiB that are read, or read back, each times the `price` of its provider, in the unit that the prices are in. */
  readonly cost: number;
}

interface RebalanceRun extends AbortOptions {
  readonly gone: ReadonlySet<string>;
  readonly onProgress?: ((packs: number) => void) | undefined;
}

/** What a segment has at one provider, and where it goes. */
interface PackMove extends Pick<IndexedSegment, 'segment' | 'manifest' | 'chunks'> {
  readonly from: string;
  readonly to: string;
  readonly bytes: number;
}

/** From the mean. */
const TOLERANCE = 0.1;
/** Half of that, so that the next object does not make it uneven again. */
const AIM = TOLERANCE / 2;
const MAX_PASSES = 8;
const GIB = 1024 ** 3;

/** What one pass would move, and what there would be then. Asks no provider. @throws what the engine throws; `Aborted`. */
export async function planRebalance(context: MovingContext, options: RebalanceRun): Promise<RebalancePlan> {
  const loads = await loadsOf(context, options);
  const priceOf = (id: string): number => context.directory.get(id)?.price ?? 1;
  let [packs, bytes, cost] = [0, 0, 0];
  for await (const move of movesOf(context, loads, options)) {
    packs++;
    bytes += move.bytes;
    cost += (move.bytes / GIB) * (priceOf(move.from) + priceOf(move.to));
  }
  return { packs, bytes, cost, ...shown(loads) };
}

/**
 * Moves what segments have at the fullest providers to the emptiest, as long as no segment would survive fewer losses, until
 * all are within a tenth of the mean. One that was cut off goes on from how things are then.
 * @throws HoldfastError what the engine throws; `Aborted`.
 */
export async function rebalanceProviders(
  context: MovingContext,
  tools: EvacuationTools,
  options: RebalanceRun,
): Promise<RebalanceRunResult> {
  const { signal, gone, onProgress } = options;
  const sum = { packs: 0, bytes: 0, failed: 0 };
  let why: string | undefined;
  const room = new Room(tools.maxConcurrent);
  const segments = { ...segmentsAtOnce(tools.maxConcurrent), signal };
  const work = async ({ manifest, segment, from, to, bytes }: PackMove): Promise<void> => {
    try {
      if (!(await manifestStands(context.engine, manifest)).isThere) return;
      const record = decodeRoot(await loadRoot(context, manifest, new DamageLog(), { signal }));
      const task = { object: { manifest, record }, segment, gone, isAnswering: true, room, ...tools };
      const { left, bytesWritten } = await evacuateSegment(context, { ...task, from, to }, { signal });
      if (left !== undefined) throw left;
      await tellMove(tools, { kind: 'rebalance', manifest, segment, bytes: bytesWritten });
      sum.packs++;
      sum.bytes += bytes;
      onProgress?.(sum.packs);
    } catch (thrown) {
      throwIfAborted(signal, 'rebalancing');
      const error = asHoldfastError(thrown);
      if (error.kind === 'Unexpected' || error.code.startsWith('engine_')) throw error;
      await tellMove(tools, { kind: 'rebalance', manifest, segment, bytes: 0, error });
      if (error.kind === 'NotFound') return;
      sum.failed++;
      why ??= error.message;
    }
  };
  for (let pass = 0; pass < MAX_PASSES && sum.failed === 0; pass++) {
    const before = sum.packs;
    await atOnce(movesOf(context, await loadsOf(context, options), options), segments, work);
    if (sum.packs === before) break;
  }
  return { ...sum, why, ...shown(await loadsOf(context, options)) };
}

type Loads = Map<string, number>;

/** Bytes at each provider that takes new shards. */
async function loadsOf(context: MovingContext, { gone, signal }: RebalanceRun): Promise<Loads> {
  const taking = candidates(context, { lost: gone }).filter(({ eligible }) => eligible === true);
  const loads: Loads = new Map(taking.map(({ id }) => [id, 0]));
  for await (const { id } of placementClasses(context, { signal })) {
    for await (const { packs } of segmentsIn(context, id, { signal })) {
      for (const { provider, length } of packs) {
        const load = loads.get(provider);
        if (load !== undefined) loads.set(provider, load + length);
      }
    }
  }
  return loads;
}

const meanOf = (loads: Loads): number =>
  [...loads.values()].reduce((sum, bytes) => sum + bytes, 0) / Math.max(1, loads.size);

const isWithin = (loads: Loads, part: number): boolean => {
  const mean = meanOf(loads);
  return [...loads.values()].every((bytes) => Math.abs(bytes - mean) <= part * mean);
};

const shown = (loads: Loads): Pick<RebalanceRunResult, 'after' | 'isEven'> => ({
  after: [...loads]
    .map(([provider, bytes]) => ({ provider, bytes }))
    .sort((a, b) => b.bytes - a.bytes || (a.provider < b.provider ? -1 : 1)),
  isEven: isWithin(loads, TOLERANCE),
});

/** At most one move a segment. @param loads as they are once what was yielded is done. */
async function* movesOf(
  context: MovingContext,
  loads: Loads,
  options: RebalanceRun,
): AsyncGenerator<PackMove> {
  const mean = meanOf(loads);
  for await (const one of placementClasses(context, options)) {
    const mayMove = allowedMoves(context, one, options);
    for await (const segment of segmentsIn(context, one.id, options)) {
      if (isWithin(loads, AIM)) return;
      const move = bestMove(segment, loads, mean, mayMove);
      if (move === undefined) continue;
      loads.set(move.from, loads.get(move.from)! - move.bytes);
      loads.set(move.to, loads.get(move.to)! + move.bytes);
      yield move;
    }
  }
}

/** From the fullest that has something of the segment to the emptiest that may take it. */
function bestMove(
  segment: IndexedSegment,
  loads: Loads,
  mean: number,
  mayMove: (from: string, to: string) => boolean,
): PackMove | undefined {
  const byLoad = [...loads].sort(([, a], [, b]) => b - a);
  for (const [from, full] of byLoad) {
    const bytes = bytesAt(segment, from);
    if (full <= mean) break;
    if (bytes === 0) continue;
    for (const [to, its] of [...byLoad].reverse()) {
      // Neither is to be further from the mean than the other was.
      if (its >= mean || its + bytes > full - bytes + mean * AIM) break;
      if (mayMove(from, to)) return { ...segment, from, to, bytes };
    }
  }
  return undefined;
}

/** Whether all that a class has at one provider may go to another; each pair is looked at once. */
function allowedMoves(
  context: MovingContext,
  { code: params, level, maps }: PlacementClass,
  { gone }: RebalanceRun,
): (from: string, to: string) => boolean {
  const code = createLinearCode(params);
  const known = new Map<string, boolean>();
  return (from, to) => {
    const key = `${from}\n${to}`;
    const providers = candidates(context, { lost: new Set([...gone, from]) });
    const may =
      known.get(key) ?? newPlaces({ code, failureDomain: level, maps, providers, gone, from, to }).isAllowed;
    known.set(key, may);
    return may;
  };
}
