import { type AbortOptions, linkedAbort, throwIfAborted } from '../../core/abort.ts';
import { asHoldfastError, type HoldfastError, isHoldfastError } from '../../core/errors.ts';
import { entryOf } from '../../core/maps.ts';
import { MAX_RELOCATED_PACKS } from '../../manifest/relocation.ts';
import type { RootRecord } from '../../manifest/root.ts';
import { type Damage, DamageLog } from '../../object/damage.ts';
import { locate, type Place, type SegmentView } from '../../object/places.ts';
import { blobKey, relocate, tangledShards } from '../../object/relocations.ts';
import { ReadState } from '../../pipeline/get/read-state.ts';
import { abandonPacks } from '../../records/dead-moves.ts';
import { manifestStands } from '../../records/manifests.ts';
import { recordMove, type SegmentAt } from '../../records/moves.ts';
import { tellOfMoves } from '../../records/relocation-slots.ts';
import { storedRelocations } from '../../records/relocations.ts';
import type { SegmentLease } from '../../records/repair-leases.ts';
import { distinctOps, indexedOps, unindexedOps } from '../../records/shard-index.ts';
import type { MovingContext } from '../context.ts';
import type { Room } from './at-once.ts';
import type { RepairPace } from './pace.ts';
import { rebuildChunks, type WantedOfChunk } from './rebuild-chunks.ts';
import { PackDraft, type PacksStored, storePacks } from './store-packs.ts';

export interface MoveRequest {
  readonly at: SegmentAt;
  /** Taken before the segment was looked at. */
  readonly lease: SegmentLease;
  readonly record: RootRecord;
  /** With its shards where they are now. */
  readonly view: SegmentView;
  /** The provider at which each shard is to be, by `chunk × totalShards + shard`. */
  readonly moves: ReadonlyMap<number, string>;
  /** Shards that are not to be read where they ought to be. */
  readonly lost: ReadonlySet<number>;
  /** A pack that is where it is to be is written over, though nothing is known to be wrong with it. Default false. */
  readonly rewrites?: boolean | undefined;
  readonly pace: RepairPace;
  /** The object has no loss left to give: no cap keeps it from being repaired. */
  readonly exempt: boolean;
  /** For the chunks that are read and rebuilt at once, of all segments together. */
  readonly room: Room;
  /** What was moved away stays so long for who reads it, milliseconds. */
  readonly graceMs: number;
}

export interface Moved {
  /** Shards that were computed, those that were copied, and those that were read. */
  readonly rebuilt: number;
  readonly copied: number;
  readonly read: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly failed: readonly { readonly at: number; readonly error: HoldfastError }[];
  /** What was found missing or rotten on the way, beside what was known to be lost. */
  readonly damage: readonly Damage[];
  /** With its shards where they are then. */
  readonly view: SegmentView;
}

/** Packs of a segment in memory at once, all together, as far as each is shorter. */
const MAX_ROUND_BYTES = 32 * 1024 ** 2;
const MAX_PACK_BYTES = 64 * 1024 ** 2;

/**
 * Brings shards of a segment to where they are to be: repair, evacuation, replacement and rebalancing are all this. Each is
 * read, or computed from the cheapest others, checked by its digest, packed with the others of its provider, stored and
 * read back; then, in one step, it counts as being there. Nothing that is there is touched before.
 * @throws HoldfastError `Conflict`, code `segment_leased`, when the lease was lost; `NotFound` when the object was removed
 * meanwhile; `QuotaExceeded`, code `egress_cap`; `Aborted`. What cannot be had or stored is in `failed`.
 */
export async function moveShards(
  context: MovingContext,
  request: MoveRequest,
  { signal }: AbortOptions = {},
): Promise<Moved> {
  const stop = linkedAbort(signal, 'repair');
  const moving = new Moving(context, request, stop.signal);
  try {
    const along = { ...request, moves: await movesAlong(context, request) };
    for (const each of [along, request]) {
      for (const round of roundsOf(context, each)) await moving.round(round);
    }
    return moving.moved;
  } finally {
    // What could not be told now is told by the chores.
    if (moving.hasRecorded) await tellOfMoves(context, request.at.segment, { signal }).catch(() => false);
    stop.dispose();
  }
}

/** What is moved along, so that there is room for this move and the next: it stays with its providers. */
async function movesAlong(
  { engine }: MovingContext,
  { at, view, moves }: MoveRequest,
): Promise<ReadonlyMap<number, string>> {
  const { records } = await storedRelocations(engine, at.segment);
  const tangled = tangledShards(view, records).filter((one) => !moves.has(one));
  return new Map(tangled.map((one) => [one, placeAt(view, one).pack.provider]));
}

/** Shards that go to a provider in one pack. */
interface PackPlan {
  readonly provider: string;
  /** Ascending. */
  readonly shards: readonly number[];
  readonly bytes: number;
}

/**
 * What goes on at once. All shards of one pack that stay at its provider are that pack again; nothing is longer than what its
 * provider takes.
 */
function roundsOf({ directory }: MovingContext, { view, moves }: MoveRequest): PackPlan[][] {
  const groups = new Map<string, { readonly provider: string; readonly shards: number[] }>();
  for (const [at, provider] of [...moves].sort(([a], [b]) => a - b)) {
    const { pack } = placeAt(view, at);
    const key = pack.provider === provider ? blobKey(pack) : provider;
    entryOf(groups, key, () => ({ provider, shards: [] })).shards.push(at);
  }
  const rounds: PackPlan[][] = [];
  let room = 0;
  for (const { provider, shards } of groups.values()) {
    const takes = directory.get(provider)?.adapter.capabilities.maxBlobBytes ?? MAX_PACK_BYTES;
    for (const plan of fitted(view, provider, shards, Math.min(takes, MAX_PACK_BYTES))) {
      if (plan.bytes > room || rounds.at(-1)?.length === MAX_RELOCATED_PACKS) {
        rounds.push([]);
        room = MAX_ROUND_BYTES;
      }
      rounds.at(-1)!.push(plan);
      room -= plan.bytes;
    }
  }
  return rounds;
}

/** As few as may be; one shard stays one. */
function fitted(view: SegmentView, provider: string, shards: readonly number[], most: number): PackPlan[] {
  const plans: { provider: string; shards: number[]; bytes: number }[] = [];
  for (const at of shards) {
    const length = view.shardLengths[Math.floor(at / view.code.totalShards)]!;
    if (plans.length === 0 || plans.at(-1)!.bytes + length > most) {
      plans.push({ provider, shards: [], bytes: 0 });
    }
    plans.at(-1)!.shards.push(at);
    plans.at(-1)!.bytes += length;
  }
  return plans;
}

const placeAt = (view: SegmentView, at: number): Place =>
  locate(view, Math.floor(at / view.code.totalShards), at % view.code.totalShards);

class Moving {
  readonly #context: MovingContext;
  readonly #request: MoveRequest;
  readonly #state: ReadState;
  readonly #sum = { rebuilt: 0, copied: 0, read: 0, bytesRead: 0, bytesWritten: 0 };
  readonly #failed: { at: number; error: HoldfastError }[] = [];
  #view: SegmentView;
  #hasRecorded = false;

  constructor(context: MovingContext, request: MoveRequest, signal: AbortSignal) {
    this.#context = context;
    this.#request = request;
    this.#view = request.view;
    const wasRemoved = async (): Promise<boolean> =>
      !(await manifestStands(context.engine, request.at.manifest)).isThere;
    this.#state = new ReadState(context, new DamageLog(), signal, wasRemoved);
  }

  get hasRecorded(): boolean {
    return this.#hasRecorded;
  }

  get moved(): Moved {
    return { ...this.#sum, failed: this.#failed, damage: this.#state.damage.found, view: this.#view };
  }

  async round(plans: readonly PackPlan[]): Promise<void> {
    const { at, lost, rewrites, pace } = this.#request;
    const { signal } = this.#state;
    const reserved = await this.#reserve(plans);
    const had = await this.#have([...reserved.keys()].flatMap(({ shards }) => shards)).catch(
      (error: unknown) => {
        for (const takeBack of reserved.values()) takeBack();
        throw error;
      },
    );
    const drafts: PackDraft[] = [];
    for (const [{ provider, shards }, takeBack] of reserved) {
      const there = shards.filter((shard) => had.has(shard));
      if (there.length === 0) {
        takeBack();
        continue;
      }
      const draft = new PackDraft(this.#view, provider, there);
      for (const shard of there) draft.fill(shard, had.get(shard)!);
      drafts.push(draft);
    }
    if (drafts.length === 0) return;
    const stored = await storePacks(
      this.#context,
      { at, view: this.#view, lost, rewrites, pace, signal },
      drafts,
    );
    this.#failed.push(...stored.failed);
    await abandonPacks(this.#context, stored.vain, stored.counted);
    if (stored.intents.length === 0) return throwIfAborted(signal, 'repair');
    try {
      await this.#record(stored);
    } catch (error) {
      await abandonPacks(this.#context, stored.intents, stored.counted);
      throw error;
    }
  }

  /** Those that may be read back today, once they are stored, and what takes that back. */
  async #reserve(plans: readonly PackPlan[]): Promise<Map<PackPlan, () => void>> {
    const { pace, exempt } = this.#request;
    const { signal } = this.#state;
    const reserved = new Map<PackPlan, () => void>();
    for (const plan of plans) {
      const { provider, shards, bytes } = plan;
      try {
        reserved.set(plan, await pace.reserve(provider, bytes, { exempt, signal }));
      } catch (error) {
        if (!isHoldfastError(error) || error.code !== 'egress_cap') throw error;
        this.#failed.push(...shards.map((at) => ({ at, error })));
      }
    }
    return reserved;
  }

  /** Copies of the bytes of those that can be had. */
  async #have(wanted: readonly number[]): Promise<Map<number, Uint8Array>> {
    const { lost, pace, exempt, room } = this.#request;
    const { totalShards } = this.#view.code;
    const byChunk = new Map<number, number[]>();
    for (const at of wanted) entryOf(byChunk, Math.floor(at / totalShards), () => []).push(at % totalShards);
    const chunks = [...byChunk]
      .sort(([a], [b]) => a - b)
      .map(([chunk, shards]): WantedOfChunk => {
        const its = Array.from({ length: totalShards }, (_, shard) => shard);
        return { chunk, shards, lost: its.filter((shard) => lost.has(chunk * totalShards + shard)) };
      });
    const had = new Map<number, Uint8Array>();
    const rebuilding = { state: this.#state, view: this.#view, pace, exempt };
    const window = Math.min(chunks.length, room.capacity);
    // For all of its windows: segments that took turns would be stored at the same time, too.
    await room.take(window);
    try {
      for (let from = 0; from < chunks.length; from += window) {
        await this.#haveSome(rebuilding, chunks.slice(from, from + window), had);
      }
    } finally {
      room.give(window);
    }
    return had;
  }

  /** One chunk that cannot be had keeps none of the others from it. */
  async #haveSome(
    rebuilding: Parameters<typeof rebuildChunks>[0],
    chunks: readonly WantedOfChunk[],
    had: Map<number, Uint8Array>,
  ): Promise<void> {
    const { totalShards } = this.#view.code;
    try {
      await rebuildChunks(rebuilding, chunks, ({ chunk, shards, rebuilt, read, bytesRead }) => {
        for (const [shard, bytes] of shards) had.set(chunk * totalShards + shard, bytes.slice());
        this.#sum.rebuilt += rebuilt;
        this.#sum.copied += shards.size - rebuilt;
        this.#sum.read += read;
        this.#sum.bytesRead += bytesRead;
      });
    } catch (thrown) {
      throwIfAborted(this.#state.signal, 'repair');
      const error = asHoldfastError(thrown);
      if (error.code === 'egress_cap' || error.kind === 'Unexpected') throw error;
      const left = chunks.filter(({ chunk, shards }) => !had.has(chunk * totalShards + shards[0]!));
      if (chunks.length > 1) for (const one of left) await this.#haveSome(rebuilding, [one], had);
      else
        this.#failed.push(
          ...left.flatMap(({ chunk, shards }) =>
            shards.map((shard) => ({ at: chunk * totalShards + shard, error })),
          ),
        );
    }
  }

  async #record({ intents, packs, bytes }: PacksStored): Promise<void> {
    const { at, lease, record, graceMs } = this.#request;
    const base: SegmentView = { ...this.#view, moved: undefined };
    const { level } = record.certificate.domains;
    const after = await recordMove(this.#context, {
      ...{ at, view: base, lease, packs, intents, graceMs },
      also: (relocations) =>
        distinctOps([
          ...unindexedOps(this.#view, { ...at, level }),
          ...indexedOps(relocate(base, relocations), { ...at, level }),
        ]),
    });
    this.#hasRecorded ||= packs.length > 0;
    this.#view = relocate(base, after);
    this.#sum.bytesWritten += bytes;
  }
}
