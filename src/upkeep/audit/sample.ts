import type { AbortOptions } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import type { RandomBytes } from '../../core/random.ts';
import type { PlacementClass } from '../../manifest/shard-rows.ts';
import type { RecordsContext } from '../../records/context.ts';
import { placementClasses, segmentsIn } from '../../records/shard-index.ts';

/**
 * A place in the row of all shards that a provider may hold: the `nth` of its shards in a segment. The index knows only how many
 * these may be at most, so there may be none of that number.
 */
export interface Drawn {
  readonly segment: BlobAddress;
  readonly manifest: BlobAddress;
  readonly nth: number;
}

/**
 * Draws so many at random for each provider, every one as likely as any other and none twice, in one pass over the index that
 * keeps nothing else.
 * @returns by provider, in random order.
 */
export async function drawShards(
  context: RecordsContext,
  providers: readonly string[],
  count: number,
  options: AbortOptions,
): Promise<Map<string, Drawn[]>> {
  const urns = new Map(providers.map((id) => [id, new Reservoir(count, context.random)]));
  for await (const one of placementClasses(context, options)) {
    const held = providers.flatMap((id) => {
      const most = mostOfChunk(one, id);
      return most === 0 ? [] : [{ urn: urns.get(id)!, most }];
    });
    if (held.length === 0) continue;
    for await (const { segment, manifest, chunks } of segmentsIn(context, one.id, options)) {
      for (const { urn, most } of held) urn.offer(segment, manifest, chunks * most);
    }
  }
  return new Map([...urns].map(([id, urn]) => [id, urn.drawn()]));
}

/** Shards that a provider has of a chunk, in the map in which it has the most. */
const mostOfChunk = ({ maps }: PlacementClass, provider: string): number =>
  Math.max(...maps.map((map) => map.filter((id) => id === provider).length));

/** Li's algorithm L: a sample of a row whose length shows only in the end, and most of which is skipped unseen. */
class Reservoir {
  readonly #count: number;
  readonly #random: RandomBytes;
  readonly #kept: Drawn[] = [];
  #seen = 0;
  /** The next that is taken, once there are enough. */
  #next = 0;
  #weight = 1;

  constructor(count: number, random: RandomBytes) {
    this.#count = count;
    this.#random = random;
  }

  offer(segment: BlobAddress, manifest: BlobAddress, many: number): void {
    const from = this.#seen;
    this.#seen += many;
    let nth = 0;
    for (; this.#kept.length < this.#count && nth < many; nth++) {
      this.#kept.push({ segment, manifest, nth });
      if (this.#kept.length === this.#count) this.#skipFrom(from + nth);
    }
    if (this.#kept.length < this.#count) return;
    while (this.#next < this.#seen) {
      this.#kept[this.#below(this.#count)] = { segment, manifest, nth: this.#next - from };
      this.#skipFrom(this.#next);
    }
  }

  drawn(): Drawn[] {
    for (let i = this.#kept.length - 1; i > 0; i--) {
      const j = this.#below(i + 1);
      [this.#kept[i], this.#kept[j]] = [this.#kept[j]!, this.#kept[i]!];
    }
    return this.#kept;
  }

  #skipFrom(at: number): void {
    this.#weight *= Math.exp(Math.log(this.#unit()) / this.#count);
    const skipped = Math.floor(Math.log(this.#unit()) / Math.log1p(-this.#weight));
    this.#next = at + 1 + (Number.isFinite(skipped) ? skipped : Number.MAX_SAFE_INTEGER);
  }

  #below(count: number): number {
    return Math.min(count - 1, Math.floor(this.#unit() * count));
  }

  /** Over 0, up to 1. */
  #unit(): number {
    const bytes = this.#random(8);
    const bits = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0) >> 11n;
    return (Number(bits) + 1) / 2 ** 53;
  }
}
