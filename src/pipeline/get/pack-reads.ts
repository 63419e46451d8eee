import type { SegmentView } from '../../object/segment-view.ts';
import type { ChunkFetch } from './chunk-fetch.ts';

export interface ShardRead {
  readonly fetch: ChunkFetch;
  readonly shard: number;
  readonly offset: number;
}

/** Shards that stand back to back in a pack. */
export interface PackRange {
  readonly pack: number;
  readonly shards: ShardRead[];
}

/** Shards to read, gathered into as few ranges as possible. */
export class PackReads {
  readonly #view: SegmentView;
  readonly #byPack: Map<number, ShardRead[]> = new Map();

  constructor(view: SegmentView) {
    this.#view = view;
  }

  get empty(): boolean {
    return this.#byPack.size === 0;
  }

  add(fetch: ChunkFetch, shard: number): void {
    const at = fetch.chunk * this.#view.code.totalShards + shard;
    const pack = this.#view.record.places[at]!;
    const read = { fetch, shard, offset: this.#view.layout.offsets[at]! };
    const reads = this.#byPack.get(pack);
    if (reads === undefined) this.#byPack.set(pack, [read]);
    else reads.push(read);
  }

  ranges(): PackRange[] {
    const ranges: PackRange[] = [];
    for (const [pack, reads] of this.#byPack) {
      reads.sort((a, b) => a.offset - b.offset);
      let end = -1;
      for (const read of reads) {
        if (read.offset === end) ranges[ranges.length - 1]!.shards.push(read);
        else ranges.push({ pack, shards: [read] });
        end = read.offset + read.fetch.shardLength;
      }
    }
    return ranges;
  }
}
