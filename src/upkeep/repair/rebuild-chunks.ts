import type { LinearCode } from '../../coding/erasure/linear-code.ts';
import { shardStride } from '../../coding/erasure/shape.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import { chunkDigests, locate, type SegmentView } from '../../object/places.ts';
import type { Slab } from '../../pipeline/arena.ts';
import { accountFor } from '../../pipeline/cpu/jobs.ts';
import { ChunkFetch, type ChunkGoal } from '../../pipeline/get/chunk-fetch.ts';
import type { ReadState } from '../../pipeline/get/read-state.ts';
import { blameForWrong, fetchShards } from '../../pipeline/get/window-read.ts';
import { timed } from '../../telemetry/metrics.ts';
import type { RepairPace } from './pace.ts';

/** Shards of one chunk that are wanted. */
export interface WantedOfChunk {
  /** Within the segment. */
  readonly chunk: number;
  readonly shards: readonly number[];
  /** Shards of the chunk that are not to be read where they ought to be. */
  readonly lost: readonly number[];
}

export interface ChunkShards {
  readonly chunk: number;
  /** By number, those that were wanted, in memory that is given back once the consumer goes on. */
  readonly shards: ReadonlyMap<number, Uint8Array>;
  /** How many of them were computed, and how many shards were read in all. */
  readonly rebuilt: number;
  readonly read: number;
  readonly bytesRead: number;
}

interface Rebuilding {
  readonly state: ReadState;
  readonly view: SegmentView;
  readonly pace: RepairPace;
  /** No cap keeps an object from being repaired that has no loss left to give. */
  readonly exempt: boolean;
}

/**
 * Has shards of some chunks: those that are there are read, the others computed from the cheapest ones that are. Every byte
 * that is given was checked by its digest. The chunks share their reads, a range per pack.
 * @param each is called as they come; its chunk's memory is given back when it has resolved.
 * @throws HoldfastError `Unavailable` or `Corrupt`, code `undecodable`; `Corrupt`, code `wrong_parity`, when what was computed
 * is not what the manifest says; `QuotaExceeded`, code `egress_cap`; `Aborted`.
 */
export async function rebuildChunks(
  rebuilding: Rebuilding,
  wanted: readonly WantedOfChunk[],
  each: (shards: ChunkShards) => void,
): Promise<void> {
  const { state, view } = rebuilding;
  const { code } = view;
  const lengths = wanted.map(({ chunk }) => code.totalShards * shardStride(view.shardLengths[chunk]!));
  const { arena } = state.context;
  const slabs = await timed(state.context, 'memory', () => arena.allocateEach(lengths, state.signal));
  const fetches = wanted.map((one, i) => fetchOf(rebuilding, one, slabs[i]!));
  try {
    await paced(rebuilding, fetches);
    await fetchShards(state, fetches);
    for (const [i, fetch] of fetches.entries()) each(await rebuild(rebuilding, fetch, wanted[i]!));
  } finally {
    for (const fetch of fetches) fetch.release();
  }
}

function fetchOf(
  { state, view }: Rebuilding,
  { chunk, shards, lost }: WantedOfChunk,
  slab: Slab,
): ChunkFetch {
  const spares = view.code.totalShards - view.code.dataShards;
  const goal = goalOf(view.code, shards);
  // A shard that was lost where it ought to be may be where hints say it is.
  const excluded = new Set(lost.filter((shard) => locate(view, chunk, shard, 1) === undefined));
  return new ChunkFetch(state, view, chunk, slab, spares, excluded, goal);
}

/** What is wanted and can be read, and the cheapest from which the rest can be computed. */
function goalOf(code: LinearCode, wanted: readonly number[]): ChunkGoal {
  return {
    choose(usable, cost) {
      const there = new Set(usable);
      const direct = wanted.filter((shard) => there.has(shard));
      const missing = wanted.filter((shard) => !there.has(shard));
      if (missing.length === 0) return direct;
      // What is read anyway costs nothing more.
      const plan = planOf(code, missing, usable, (shard) => (direct.includes(shard) ? 0 : cost(shard)));
      return plan && [...new Set([...direct, ...plan])];
    },
    suffice(present) {
      const missing = wanted.filter((shard) => !present.includes(shard));
      return missing.length === 0 || planOf(code, missing, present) !== undefined;
    },
  };
}

const MAX_KNOWN = 1024;
const known = new WeakMap<LinearCode, Map<string, readonly number[] | undefined>>();

/**
 * The shards to read; undefined when the missing ones cannot be had from these. Remembered: chunks lack the same shards as the
 * rotation comes round, and thinking each through would keep who reads beside it waiting.
 */
function planOf(
  code: LinearCode,
  missing: readonly number[],
  usable: readonly number[],
  cost: (shard: number) => number = () => 1,
): readonly number[] | undefined {
  const plans = known.get(code) ?? new Map<string, readonly number[] | undefined>();
  known.set(code, plans);
  const key = `${missing.join()}|${usable.map((shard) => `${shard}:${cost(shard)}`).join()}`;
  if (plans.has(key)) return plans.get(key);
  if (plans.size >= MAX_KNOWN) plans.clear();
  const plan = readsOf(code, missing, usable, cost);
  plans.set(key, plan);
  return plan;
}

function readsOf(
  code: LinearCode,
  missing: readonly number[],
  usable: readonly number[],
  cost: (shard: number) => number,
): readonly number[] | undefined {
  try {
    return code.repairPlan(missing, usable, cost).reads;
  } catch (error) {
    if (isHoldfastError(error) && error.code === 'undecodable') return undefined;
    throw error;
  }
}

/** What is about to be read. What others are read for that fail or are slow is not counted: those were, and gave less. */
async function paced(
  { state, pace, exempt }: Pick<Rebuilding, 'state' | 'pace' | 'exempt'>,
  fetches: readonly ChunkFetch[],
): Promise<void> {
  const bytes = new Map<string, number>();
  for (const fetch of fetches) {
    for (const shard of fetch.wanted()) {
      const { provider } = fetch.placeOf(shard).pack;
      bytes.set(provider, (bytes.get(provider) ?? 0) + fetch.shardLength);
    }
  }
  for (const [provider, length] of bytes) await pace.read(provider, length, { exempt, signal: state.signal });
}

async function rebuild(
  rebuilding: Rebuilding,
  fetch: ChunkFetch,
  { chunk, shards }: WantedOfChunk,
): Promise<ChunkShards> {
  const { state, view } = rebuilding;
  const { context } = state;
  for (;;) {
    const { present } = fetch;
    const missing = shards.filter((shard) => !present.includes(shard));
    fetch.makeRoom(missing);
    const started = context.clock.monotonic();
    const { bad, wrong, spent } = await context.cpu.rebuild({
      code: view.code.params,
      offsets: fetch.offsets,
      shardLength: fetch.shardLength,
      present,
      missing,
      digests: chunkDigests(view, chunk),
    });
    accountFor(context, started, spent);
    if (wrong.length > 0) throw wrongParity(view.record.firstChunk + chunk, wrong);
    if (bad.length === 0) {
      return {
        chunk,
        shards: new Map(shards.map((shard) => [shard, fetch.bytesOf(shard)])),
        rebuilt: missing.length,
        read: present.length,
        bytesRead: present.length * fetch.shardLength,
      };
    }
    blameForWrong(state, fetch, bad);
    await paced(rebuilding, [fetch]);
    await fetchShards(state, [fetch]);
  }
}

const wrongParity = (chunk: number, shards: readonly number[]): HoldfastError =>
  new HoldfastError(
    'Corrupt',
    `chunk ${chunk}: shards ${shards.join(', ')} do not come out as the manifest says: what was put does not belong together`,
    { code: 'wrong_parity', hint: 'Nothing was changed. Put the object again while it can be read.' },
  );
