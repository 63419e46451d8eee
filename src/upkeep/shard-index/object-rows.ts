import { createLinearCode } from '../../coding/erasure/code.ts';
import type { AbortOptions } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { equalBytes } from '../../core/bytes.ts';
import { isHoldfastError } from '../../core/errors.ts';
import type { BatchOp, Precondition } from '../../engine/engine.ts';
import { decodeRoot, type RootRecord } from '../../manifest/root.ts';
import { decodeSegmentNode } from '../../manifest/segment.ts';
import { DamageLog } from '../../object/damage.ts';
import { fetchNode } from '../../object/fetch-node.ts';
import { publicTree, walkManifest } from '../../object/manifest-tree.ts';
import { type SegmentView, viewSegment } from '../../object/places.ts';
import { relocate } from '../../object/relocations.ts';
import type { RecordsContext } from '../../records/context.ts';
import { loadRoot } from '../../records/manifests.ts';
import { placementOf, rowsOf, SHARDS_TABLE, type ShardPlacement } from '../../records/shard-index.ts';

/** Nodes that all others lack are waited for so long at those that do not answer. */
const GIVE_UP_MS = 2_000;
/** Moves of one segment that may come between a look and a write. */
const MAX_ROUNDS = 4;

/** A segment of an object. */
export interface SegmentOf {
  readonly address: BlobAddress;
  /** Whether it stands in the root, which is at hand. */
  readonly isInRoot: boolean;
}

/** One object, for its rows in the index of shards. Needs no key. */
export class ObjectRows {
  readonly manifest: BlobAddress;
  readonly #context: RecordsContext;
  readonly #root: RootRecord;
  readonly #options: AbortOptions;

  private constructor(
    context: RecordsContext,
    manifest: BlobAddress,
    root: RootRecord,
    options: AbortOptions,
  ) {
    this.#context = context;
    this.manifest = manifest;
    this.#root = root;
    this.#options = options;
  }

  /** @throws HoldfastError when the root is not to be had; `Corrupt`. */
  static async open(
    context: RecordsContext,
    manifest: BlobAddress,
    options: AbortOptions,
  ): Promise<ObjectRows> {
    const root = decodeRoot(await loadRoot(context, manifest, new DamageLog(), options));
    return new ObjectRows(context, manifest, root, options);
  }

  /** In the order of the object. Of the nodes only those of links are read. */
  async *segments(): AsyncGenerator<SegmentOf> {
    if (this.#root.body.depth === 0) return yield { address: this.manifest, isInRoot: true };
    const tree = publicTree(this.#root, (address) => this.#fetch(address));
    for await (const { address, depth } of walkManifest(tree, { segments: false })) {
      if (depth === 0 && address !== undefined) yield { address, isInRoot: false };
    }
  }

  /** A segment as its node has it. @throws HoldfastError when that is not to be had; `Corrupt`. */
  async view({ address, isInRoot }: SegmentOf): Promise<SegmentView> {
    const { code: params, objectId, body } = this.#root;
    const code = createLinearCode(params);
    if (isInRoot && 'segment' in body) return viewSegment(body.segment, code);
    return viewSegment(decodeSegmentNode(await this.#fetch(address), objectId, code.totalShards), code);
  }

  /** Where the shards of a segment are now. */
  async placement({ address }: SegmentOf, view: SegmentView): Promise<ShardPlacement> {
    const { relocations } = this.#context;
    const relocationsOf = await relocations.open({ ...this.#options, fresh: true });
    const moved = relocate(view, (await relocationsOf?.(address)) ?? []);
    return placementOf(moved, this.#root.certificate.domains.level);
  }

  #fetch(address: BlobAddress): Promise<Uint8Array> {
    return fetchNode(this.#context, address, new DamageLog(), this.#options.signal, GIVE_UP_MS);
  }
}

/**
 * Puts right what the index has of a segment.
 * @param stands what holds while the object is remembered.
 * @returns the class it stands under, and whether that was to be written; undefined when the object was forgotten.
 */
export async function mendRows(
  context: RecordsContext,
  object: ObjectRows,
  segment: SegmentOf,
  stands: readonly Precondition[],
  options: AbortOptions,
): Promise<{ readonly classId: string; readonly wasWrong: boolean } | undefined> {
  const { engine } = context;
  const view = await object.view(segment);
  const at = { segment: segment.address, manifest: object.manifest };
  let placement = await object.placement(segment, view);
  for (let round = 0; ; round++) {
    const classId = placement.alike.id;
    const rows = rowsOf(placement, at);
    const [alike, row] = await Promise.all(rows.map((op) => presentValue(context, op, options)));
    if (alike !== undefined && row !== undefined && equalBytes(row, rows[1].value!)) {
      return { classId, wasWrong: round > 0 };
    }
    if (!(await engine.batch(rows, stands, options))) return undefined;
    // Shards that were moved in between are under another class, and stay there.
    placement = await object.placement(segment, view);
    if (placement.alike.id === classId || round === MAX_ROUNDS) return { classId, wasWrong: true };
    await engine.table(SHARDS_TABLE).compareAndSet(rows[1].key, rows[1].value, undefined, options);
  }
}

/** A damaged one is to be written anew. */
async function presentValue(
  { engine }: RecordsContext,
  { table, key }: BatchOp,
  options: AbortOptions,
): Promise<Uint8Array | undefined> {
  try {
    return await engine.table(table).get(key, options);
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return undefined;
    throw error;
  }
}
