import { shardStride } from '../../coding/erasure/shape.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { Slab } from '../arena.ts';
import { shardOffsets } from '../cpu/slab-layout.ts';
import type { SegmentView } from '../object-view.ts';
import type { VaultContext } from '../ports.ts';
import type { ReadableSegment } from './readable-segments.ts';

/** What waiting for a slow shard is worth, in others' cost: fetched only where nothing else adds rank. */
const LATE = 1e6;

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
  readonly excluded: Set<number> = new Set();
  readonly offsets: number[];
  readonly #view: SegmentView;
  readonly #context: VaultContext;
  readonly #slabs: Slab[] = [];
  /** Shards that, once there, decode the chunk. */
  #chosen: readonly number[] | undefined;

  private constructor(context: VaultContext, view: SegmentView, chunk: number, slab: Slab) {
    this.#context = context;
    this.#view = view;
    this.chunk = chunk;
    this.#slabs.push(slab);
    this.offsets = new Array(view.code.totalShards).fill(-1);
    shardOffsets(slab.offset, view.code.dataShards, this.shardLength).forEach((offset, shard) => {
      this.offsets[shard] = offset;
    });
  }

  static async start(
    context: VaultContext,
    { view, secrets }: ReadableSegment,
    chunk: number,
    signal: AbortSignal,
  ): Promise<ChunkFetch> {
    const shards = view.code.dataShards * shardStride(view.shardLengths[chunk]!);
    const slab = await context.arena.allocate(Math.max(shards, secrets.plainLens[chunk]!), signal);
    return new ChunkFetch(context, view, chunk, slab);
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
   * @param avoid providers that failed in this read.
   * @throws HoldfastError `Unavailable` or `Corrupt`, code `undecodable`, naming what is gone.
   */
  wanted(avoid: ReadonlySet<string>): number[] {
    if (this.#isSettled(avoid)) return [];
    const { code, record } = this.#view;
    const usable: number[] = [];
    for (let shard = 0; shard < code.totalShards; shard++) {
      if (this.present.has(shard) || !(this.excluded.has(shard) || avoid.has(this.providerOf(shard)))) {
        usable.push(shard);
      }
    }
    const chosen = code.cheapestDecodable(usable, (shard) => this.#cost(shard));
    if (chosen === undefined) throw this.#undecodable(record.firstChunk, usable, avoid);
    this.#chosen = chosen;
    return chosen.filter((shard) => !this.present.has(shard) && !this.pending.has(shard));
  }

  /** Whether what is there decodes. */
  get complete(): boolean {
    return this.#chosen?.every((shard) => this.present.has(shard)) ?? false;
  }

  #cost(shard: number): number {
    if (this.present.has(shard)) return 0;
    const pending = this.pending.get(shard);
    if (pending === 'fresh') return 0;
    const cost = this.#context.directory.readCost(this.providerOf(shard));
    return pending === 'slow' ? LATE * cost : cost;
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

  /** Gives shards that are not data a place. */
  async makeRoom(shards: readonly number[], signal: AbortSignal): Promise<void> {
    const homeless = shards.filter((shard) => this.offsets[shard] === -1);
    if (homeless.length === 0) return;
    const slab = await this.#context.arena.allocate(homeless.length * shardStride(this.shardLength), signal);
    this.#slabs.push(slab);
    const offsets = shardOffsets(slab.offset, homeless.length, this.shardLength);
    homeless.forEach((shard, i) => {
      this.offsets[shard] = offsets[i]!;
    });
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
    const gone = Array.from({ length: code.totalShards }, (_, shard) => shard).filter(
      (s) => !usable.includes(s),
    );
    const corrupt = gone.filter((shard) => this.excluded.has(shard) && !avoid.has(this.providerOf(shard)));
    const providers = [...new Set(gone.map((shard) => this.providerOf(shard)))].sort();
    const onlyDamage = corrupt.length === gone.length;
    return new HoldfastError(
      onlyDamage ? 'Corrupt' : 'Unavailable',
      `chunk ${firstChunk + this.chunk} cannot be decoded: ${gone.length} of its ${code.totalShards} shards are gone ` +
        `(at ${providers.join(', ')}), ${code.rank(usable)} of ${code.dataShards} independent ones are left`,
      {
        code: 'undecodable',
        hint: `Bring back any of: ${providers.join(', ')}. Nothing was changed.`,
        context: {
          chunk: firstChunk + this.chunk,
          missing: gone.map((shard) => ({ shard, provider: this.providerOf(shard) })),
          providers,
          available: usable.length,
        },
      },
    );
  }
}
