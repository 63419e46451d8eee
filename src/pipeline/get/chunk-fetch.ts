import { shardStride } from '../../coding/erasure/shape.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { SegmentView } from '../../object/segment-view.ts';
import { timed } from '../../telemetry/metrics.ts';
import type { Slab } from '../arena.ts';
import type { VaultContext } from '../context.ts';
import { shardOffsets } from '../cpu/slab-layout.ts';
import type { Window } from './window.ts';

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

/**
 * The shards of one chunk on their way into memory: which are there, which were tried and are no good. Data shards
 * land where the plaintext will be; others beside them.
 */
export class ChunkFetch {
  readonly chunk: number;
  readonly present: Set<number> = new Set();
  /** On their way; `slow`: far behind, so another shard may take its place. */
  readonly pending: Map<number, 'fresh' | 'slow'> = new Map();
  /** Missing, corrupt, or at a provider that does not answer. */
  readonly excluded: Set<number>;
  readonly offsets: number[];
  readonly #view: SegmentView;
  readonly #context: VaultContext;
  readonly #slabs: Slab[] = [];
  /** Places for shards that are not data. */
  readonly #spare: number[];
  /** Shards that, once there, decode the chunk. */
  #chosen: readonly number[] | undefined;

  private constructor(
    context: VaultContext,
    view: SegmentView,
    chunk: number,
    slab: Slab,
    spares: number,
    excluded: Set<number>,
  ) {
    this.#context = context;
    this.#view = view;
    this.chunk = chunk;
    this.excluded = excluded;
    this.#slabs.push(slab);
    this.offsets = new Array(view.code.totalShards).fill(-1);
    const from = slab.offset + spares * shardStride(this.shardLength);
    this.#spare = shardOffsets(slab.offset, spares, this.shardLength);
    shardOffsets(from, view.code.dataShards, this.shardLength).forEach((offset, shard) => {
      this.offsets[shard] = offset;
    });
  }

  /**
   * All chunks of a window, their memory granted in one piece.
   * @param spares shards beside data to have room for, in each.
   * @param excluded by chunk, what is known to be no good; added to.
   */
  static async startAll(
    context: VaultContext,
    { segment: { view, secrets }, chunks }: Window,
    spares: number,
    excluded: readonly Set<number>[],
    signal: AbortSignal,
  ): Promise<ChunkFetch[]> {
    const lengths = chunks.map((chunk) => {
      const stride = shardStride(view.shardLengths[chunk]!);
      return spares * stride + Math.max(view.code.dataShards * stride, secrets.plainLens[chunk]!);
    });
    const slabs = await timed(context, 'memory', () => context.arena.allocateEach(lengths, signal));
    return chunks.map((chunk, i) => new ChunkFetch(context, view, chunk, slabs[i]!, spares, excluded[i]!));
  }

  get shardLength(): number {
    return this.#view.shardLengths[this.chunk]!;
  }

  get #packs(): Uint8Array {
    const { totalShards } = this.#view.code;
    return this.#view.record.places.subarray(this.chunk * totalShards, (this.chunk + 1) * totalShards);
  }

  providerOf(shard: number): string {
    return this.#view.record.packs[this.#packs[shard]!]!.provider;
  }

  /**
   * Shards still to fetch so that the chunk decodes, cheapest first choice.
   * @param avoid providers that failed or were far behind in this read: asked only where nothing else decodes.
   * @throws HoldfastError `Unavailable` or `Corrupt`, code `undecodable`, naming what is gone.
   */
  wanted(avoid: ReadonlySet<string>): number[] {
    if (this.complete || this.#isSettled(avoid)) return [];
    const { code, record } = this.#view;
    const usable: number[] = [];
    for (let shard = 0; shard < code.totalShards; shard++) {
      if (this.present.has(shard) || !this.excluded.has(shard)) usable.push(shard);
    }
    const chosen = code.cheapestDecodable(usable, (shard) => this.#cost(shard, avoid));
    if (chosen === undefined) throw this.#undecodable(record.firstChunk, usable, avoid);
    this.#chosen = chosen;
    return chosen.filter((shard) => !this.present.has(shard) && !this.pending.has(shard));
  }

  /** Whether what is there decodes. */
  get complete(): boolean {
    if (this.#chosen === undefined) return false;
    const there = this.#chosen.filter((shard) => this.present.has(shard)).length;
    if (there === this.#chosen.length) return true;
    // One that was late, and that others were fetched in the stead of, may have come after all.
    return this.present.size > there && this.#view.code.decodable([...this.present]);
  }

  #cost(shard: number, avoid: ReadonlySet<string>): number {
    if (this.present.has(shard)) return 0;
    const pending = this.pending.get(shard);
    const provider = this.providerOf(shard);
    const late = pending === 'slow' || avoid.has(provider);
    if (pending === 'fresh' && !late) return 0;
    const cost = this.#context.directory.readCost(provider);
    return late ? LATE * cost : cost;
  }

  /** Whether the last choice still stands: all of it is there, or on its way in good time. */
  #isSettled(avoid: ReadonlySet<string>): boolean {
    return (
      this.#chosen?.every(
        (shard) =>
          this.present.has(shard) ||
          (this.pending.get(shard) === 'fresh' && !avoid.has(this.providerOf(shard))),
      ) ?? false
    );
  }

  /** Gives shards that are not data a place. @throws NoRoom: nobody waits for more memory while holding some. */
  makeRoom(shards: readonly number[]): void {
    const unplaced = shards.filter((shard) => this.offsets[shard] === -1);
    const lacking = unplaced.length - this.#spare.length;
    if (lacking > 0) {
      const slab = this.#context.arena.tryAllocate(lacking * shardStride(this.shardLength));
      if (slab === undefined) throw new NoRoom(this.#sparesUsed() + unplaced.length);
      this.#slabs.push(slab);
      this.#spare.push(...shardOffsets(slab.offset, lacking, this.shardLength));
    }
    for (const shard of unplaced) this.offsets[shard] = this.#spare.pop()!;
  }

  #sparesUsed(): number {
    return this.offsets.filter((offset, shard) => shard >= this.#view.code.dataShards && offset !== -1)
      .length;
  }

  bytesOf(shard: number): Uint8Array {
    return new Uint8Array(this.#context.arena.memory.buffer, this.offsets[shard]!, this.shardLength);
  }

  plainInPlace(length: number): Uint8Array {
    return new Uint8Array(this.#context.arena.memory.buffer, this.offsets[0]!, length);
  }

  release(): void {
    for (const slab of this.#slabs.splice(0)) this.#context.arena.release(slab);
  }

  #undecodable(firstChunk: number, usable: readonly number[], avoid: ReadonlySet<string>): HoldfastError {
    const { code } = this.#view;
    // Shards not asked for yet at providers that failed are as good as gone: the figures should say so.
    const left = usable.filter((shard) => this.present.has(shard) || !avoid.has(this.providerOf(shard)));
    const gone = Array.from({ length: code.totalShards }, (_, shard) => shard).filter(
      (s) => !left.includes(s),
    );
    const corrupt = gone.filter((shard) => this.excluded.has(shard) && !avoid.has(this.providerOf(shard)));
    const providers = [...new Set(gone.map((shard) => this.providerOf(shard)))].sort();
    const onlyDamage = corrupt.length === gone.length;
    return new HoldfastError(
      onlyDamage ? 'Corrupt' : 'Unavailable',
      `chunk ${firstChunk + this.chunk} cannot be decoded: ${gone.length} of its ${code.totalShards} shards are gone ` +
        `(at ${providers.join(', ')}), ${code.rank(left)} of ${code.dataShards} independent ones are left`,
      {
        code: 'undecodable',
        hint: `Bring back any of: ${providers.join(', ')}. Nothing was changed.`,
        context: {
          chunk: firstChunk + this.chunk,
          missing: gone.map((shard) => ({ shard, provider: this.providerOf(shard) })),
          providers,
          available: left.length,
        },
      },
    );
  }
}
