import type { BlobAddress } from '../../core/address.ts';
import { entryOf } from '../../core/maps.ts';
import type { BatchOp, Engine } from '../../engine/engine.ts';
import {
  distinctOps,
  opsInParts,
  rowsOf,
  type ShardPlacement,
  toBeIndexed,
} from '../../records/shard-index.ts';

/** Packs that are kept for one put: about 30 MiB. */
const MAX_KEPT_PACKS = 262_144;

/** What the index of shards will have of an object that is being put. Its rows name the root, so they come last. */
export class PutRows {
  readonly #most: number;
  readonly #classes = new Map<string, ShardPlacement['alike']>();
  /** Undefined: too many. */
  #kept: { readonly segment: BlobAddress | undefined; readonly placement: ShardPlacement }[] | undefined = [];
  #packs = 0;

  constructor(most: number = MAX_KEPT_PACKS) {
    this.#most = most;
  }

  /** @param segment address of its node; undefined where it stands in the root. */
  add(segment: BlobAddress | undefined, placement: ShardPlacement): void {
    this.#packs += placement.packs.length;
    if (this.#packs > this.#most) this.#kept = undefined;
    const alike = entryOf(this.#classes, placement.alike.id, () => placement.alike);
    this.#kept?.push({ segment, placement: { ...placement, alike } });
  }

  /**
   * Writes the rows that have no room in the commit, flushed: rows of an object that is not there are passed over.
   * @returns what is left for the commit; of an object of too many segments that it is to be indexed later.
   */
  async write(engine: Engine, manifest: BlobAddress): Promise<readonly BatchOp[]> {
    if (this.#kept === undefined) return [toBeIndexed(manifest)];
    const rows = this.#kept.map(({ segment = manifest, placement }) =>
      rowsOf(placement, { segment, manifest }),
    );
    // The classes go with the commit: one without segments is dropped by readers.
    const ops = [...rows.map(([its]) => its), ...rows.map(([, row]) => row)];
    const [last = [], ...parts] = opsInParts(distinctOps(ops));
    for (const part of parts) await engine.batch(part, [], { sync: true });
    return last;
  }
}
