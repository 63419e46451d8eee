import type { LinearCode, ShardCost } from '../../coding/erasure/linear-code.ts';
import { shardStride } from '../../coding/erasure/shape.ts';
import { HoldfastError } from '../../core/errors.ts';
import { entryOf } from '../../core/maps.ts';
import type { PackRecord } from '../../manifest/segment.ts';
import type { DamageProblem } from '../../object/damage.ts';
import { locate, type Place, type SegmentView } from '../../object/places.ts';
import type { Slab } from '../arena.ts';
import { shardOffsets } from '../cpu/jobs.ts';
import type { ReadState } from './read-state.ts';

/** What waiting for a slow shard is worth, in others' cost: fetched only where nothing else adds rank. */
const LATE = 1e6;

/** The chunks need more memory than there is at the moment: to be started again with so many spares each. */
export class NoRoom extends Error {
  readonly spares: number;

  constructor(spares: number) {
    super('no room for more shards');
    this.spares = spares;
  }
}

/** What is to be had of a chunk. */
export interface ChunkGoal {
  /**
   * The shards that are to be there, at the least cost.
   * @param usable shards that are there or may be had. @returns undefined when they do not do.
   */
  choose(usable: readonly number[], cost: ShardCost): readonly number[] | undefined;
  /** Whether these do, though others were chosen. */
  suffice(present: readonly number[]): boolean;
}

/** All of its data. */
const dataOf = (code: LinearCode): ChunkGoal => ({
  choose: (usable, cost) => code.cheapestDecodable(usable, cost),
  suffice: (present) => code.decodable(present),
});

/**
 * The shards of one chunk on their way into memory: which are there, which were tried and are no good. Data shards
 * land where the plaintext will be; others beside them.
 */
export class ChunkFetch {
  readonly chunk: number;
  /** Where each shard is in the arena's memory; −1 for those without room. */
  readonly offsets: number[];
  readonly #state: ReadState;
  readonly #view: SegmentView;
  readonly #slabs: Slab[] = [];
  /** Places for shards that are not data. */
  readonly #spare: number[];
  /** Shards that are there, and the pack that each came from. */
  readonly #present: Map<number, PackRecord> = new Map();
  /** On their way; `slow`: far behind, so another shard may take its place. */
  readonly #pending: Map<number, 'fresh' | 'slow'> = new Map();
  /** Missing, corrupt, or at providers that do not answer, at all their places. */
  readonly #excluded: Set<number>;
  /** Packs that shards with more than one place were looked for in, in vain. */
  readonly #tried: Map<number, Set<PackRecord>> = new Map();
  /** Shards that, once there, are all that is wanted. */
  #chosen: readonly number[] | undefined;
  readonly #goal: ChunkGoal;

  /**
   * @param slab released with the fetch.
   * @param spares shards beside data that the slab has room for.
   * @param excluded what is known to be no good; added to.
   * @param goal default: that it can be decoded.
   */
  constructor(
    state: ReadState,
    view: SegmentView,
    chunk: number,
    slab: Slab,
    spares: number,
    excluded: Set<number>,
    goal: ChunkGoal = dataOf(view.code),
  ) {
    this.#goal = goal;
    this.#state = state;
    this.#view = view;
    this.chunk = chunk;
    this.#excluded = excluded;
    this.#slabs.push(slab);
    this.offsets = new Array(view.code.totalShards).fill(-1);
    const from = slab.offset + spares * shardStride(this.shardLength);
    this.#spare = shardOffsets(slab.offset, spares, this.shardLength);
    shardOffsets(from, view.code.dataShards, this.shardLength).forEach((offset, shard) => {
      this.offsets[shard] = offset;
    });
  }

  get shardLength(): number {
    return this.#view.shardLengths[this.chunk]!;
  }

  /** The place to read a shard from. */
  placeOf(shard: number): Place {
    const first = locate(this.#view, this.chunk, shard);
    if (this.#view.moved === undefined) return first;
    const tried = this.#tried.get(shard);
    let untried: Place | undefined;
    for (
      let nth = 0, place: Place | undefined = first;
      place !== undefined;
      place = locate(this.#view, this.chunk, shard, ++nth)
    ) {
      if (tried?.has(place.pack)) continue;
      if (!this.#isDoubtful(place.pack)) return place;
      untried ??= place;
    }
    return untried ?? first;
  }

  /** Whether a shard ought to be in a pack, rather than perhaps. */
  expects(shard: number, pack: PackRecord): boolean {
    return locate(this.#view, this.chunk, shard).pack === pack;
  }

  /**
   * Shards still to fetch so that there is what is wanted of it, cheapest first choice. Of providers that failed or were far behind
   * in this read none is wanted unless nothing else decodes.
   * @throws HoldfastError `Unavailable` or `Corrupt`, code `undecodable`, naming what is gone.
   */
  wanted(): number[] {
    if (this.complete || this.#isSettled()) return [];
    const { code } = this.#view;
    const usable: number[] = [];
    for (let shard = 0; shard < code.totalShards; shard++) {
      if (this.#present.has(shard) || !this.#excluded.has(shard)) usable.push(shard);
    }
    const chosen = this.#goal.choose(usable, (shard) => this.#cost(shard));
    if (chosen === undefined) throw this.#undecodable(usable);
    this.#chosen = chosen;
    return chosen.filter((shard) => !this.#present.has(shard) && !this.#pending.has(shard));
  }

  /** Whether what is wanted of it is there. */
  get complete(): boolean {
    if (this.#chosen === undefined) return false;
    const there = this.#chosen.filter((shard) => this.#present.has(shard)).length;
    if (there === this.#chosen.length) return true;
    // One that was late, and that others were fetched in the stead of, may have come after all.
    return this.#present.size > there && this.#goal.suffice(this.present);
  }

  get present(): number[] {
    return [...this.#present.keys()];
  }

  starts(shard: number): void {
    this.#pending.set(shard, 'fresh');
  }

  /** Others may be fetched in its stead. */
  fallsBehind(shard: number): void {
    this.#pending.set(shard, 'slow');
  }

  lands(shard: number, pack: PackRecord): void {
    this.#present.set(shard, pack);
  }

  /** Its read is over, however it ended. */
  ends(shard: number): void {
    this.#pending.delete(shard);
  }

  /** A shard will not be had from a pack. It is looked for at its next place, if it has one that was not tried. */
  misses(shard: number, pack: PackRecord, problem: DamageProblem, detail?: string): void {
    const { moved, code, record } = this.#view;
    const elsewhere = moved?.places.get(this.chunk * code.totalShards + shard);
    if (elsewhere === undefined) this.#excluded.add(shard);
    else {
      const tried = entryOf(this.#tried, shard, () => new Set<PackRecord>()).add(pack);
      if (elsewhere.every((place) => tried.has(place.pack))) this.#excluded.add(shard);
      if (problem !== 'unavailable') this.#state.doubt(pack);
    }
    // Where it need not be, it is no damage that it is not.
    if (!this.expects(shard, pack)) return;
    this.#state.damage.add({
      provider: pack.provider,
      problem,
      blob: pack.address,
      chunk: record.firstChunk + this.chunk,
      shard,
      ...(detail === undefined ? {} : { detail }),
    });
  }

  /**
   * Shards that came have other bytes than the manifest says.
   * @returns the providers that ought to have had the right ones.
   */
  foundWrong(shards: readonly number[]): Set<string> {
    const liars = new Set<string>();
    for (const shard of shards) {
      const pack = this.#present.get(shard)!;
      this.#present.delete(shard);
      this.misses(shard, pack, 'corrupt');
      if (this.expects(shard, pack)) liars.add(pack.provider);
    }
    return liars;
  }

  /** Gives shards that are not data a place. @throws NoRoom: nobody waits for more memory while holding some. */
  makeRoom(shards: readonly number[]): void {
    const unplaced = shards.filter((shard) => this.offsets[shard] === -1);
    const lacking = unplaced.length - this.#spare.length;
    if (lacking > 0) {
      const slab = this.#state.context.arena.tryAllocate(lacking * shardStride(this.shardLength));
      if (slab === undefined) throw new NoRoom(this.#sparesUsed() + unplaced.length);
      this.#slabs.push(slab);
      this.#spare.push(...shardOffsets(slab.offset, lacking, this.shardLength));
    }
    for (const shard of unplaced) this.offsets[shard] = this.#spare.pop()!;
  }

  bytesOf(shard: number): Uint8Array {
    return new Uint8Array(this.#state.context.arena.memory.buffer, this.offsets[shard]!, this.shardLength);
  }

  plainInPlace(length: number): Uint8Array {
    return new Uint8Array(this.#state.context.arena.memory.buffer, this.offsets[0]!, length);
  }

  release(): void {
    for (const slab of this.#slabs.splice(0)) this.#state.context.arena.release(slab);
  }

  #sparesUsed(): number {
    return this.offsets.filter((offset, shard) => shard >= this.#view.code.dataShards && offset !== -1)
      .length;
  }

  #isDoubtful(pack: PackRecord): boolean {
    return this.#state.avoids(pack.provider) || this.#state.doubts(pack);
  }

  #cost(shard: number): number {
    if (this.#present.has(shard)) return 0;
    const pending = this.#pending.get(shard);
    const { pack } = this.placeOf(shard);
    const late = pending === 'slow' || this.#isDoubtful(pack);
    if (pending === 'fresh' && !late) return 0;
    const cost = this.#state.context.directory.readCost(pack.provider);
    return late ? LATE * cost : cost;
  }

  /** Whether the last choice still stands: all of it is there, or on its way in good time. */
  #isSettled(): boolean {
    return (
      this.#chosen?.every(
        (shard) =>
          this.#present.has(shard) ||
          (this.#pending.get(shard) === 'fresh' && !this.#state.avoids(this.placeOf(shard).pack.provider)),
      ) ?? false
    );
  }

  #undecodable(usable: readonly number[]): HoldfastError {
    const { code, record } = this.#view;
    const isAvoided = (shard: number): boolean => this.#state.avoids(this.placeOf(shard).pack.provider);
    const providerOf = (shard: number): string => locate(this.#view, this.chunk, shard).pack.provider;
    // Shards not asked for yet at providers that failed are as good as gone: the figures should say so.
    const left = usable.filter((shard) => this.#present.has(shard) || !isAvoided(shard));
    const gone = Array.from({ length: code.totalShards }, (_, shard) => shard).filter(
      (s) => !left.includes(s),
    );
    const corrupt = gone.filter((shard) => this.#excluded.has(shard) && !isAvoided(shard));
    const providers = [...new Set(gone.map(providerOf))].sort();
    const onlyDamage = corrupt.length === gone.length;
    const chunk = record.firstChunk + this.chunk;
    return new HoldfastError(
      onlyDamage ? 'Corrupt' : 'Unavailable',
      `chunk ${chunk} cannot be decoded: ${gone.length} of its ${code.totalShards} shards are gone ` +
        `(at ${providers.join(', ')}), ${code.rank(left)} of ${code.dataShards} independent ones are left`,
      {
        code: 'undecodable',
        hint: `Bring back any of: ${providers.join(', ')}. Nothing was changed.`,
        context: {
          chunk,
          missing: gone.map((shard) => ({ shard, provider: providerOf(shard) })),
          providers,
          available: left.length,
        },
      },
    );
  }
}
