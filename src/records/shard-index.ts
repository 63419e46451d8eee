import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../core/address.ts';
import { isHoldfastError } from '../core/errors.ts';
import type { BatchOp } from '../engine/engine.ts';
import {
  decodeClass,
  decodeIndexed,
  encodeClass,
  encodeIndexed,
  type IndexedShards,
  type PlacementClass,
  placementClass,
} from '../manifest/shard-rows.ts';
import { locate, packsOf, type SegmentView } from '../object/places.ts';
import type { RecordsContext } from './context.ts';
import { isRemembered } from './manifests.ts';
import { UPKEEP_TABLE } from './usage.ts';

/** `<class>` → how the shards of its segments are placed. Derived, like all of these. See docs/format/shard-index.md. */
export const CLASSES_TABLE = 'shard_classes';
/** `<class>/<segment>` → what the index has of the segment. */
export const SHARDS_TABLE = 'shard_index';
/** Objects of which rows may lack: `<manifest>` → JSON. */
export const UNINDEXED_TABLE = 'shard_due';
/** How far the records were gone through; without it that begins anew. In the table of chores. */
export const PASS = 'shards';

type WithEngine = Pick<RecordsContext, 'engine'>;

/** A segment by its node, or the root that it stands in, and the object it belongs to. */
interface IndexedAt {
  readonly segment: BlobAddress;
  readonly manifest: BlobAddress;
}

export interface IndexedSegment extends IndexedShards, IndexedAt {}

/** Where a segment's shards are, as the index has it. */
export interface ShardPlacement extends Omit<IndexedShards, 'manifest'> {
  readonly alike: PlacementClass;
}

/** The provider of each shard, by chunk. */
export const mapsOf = (view: SegmentView): string[][] =>
  view.record.chunkLens.map((_, chunk) =>
    Array.from({ length: view.code.totalShards }, (__, shard) => locate(view, chunk, shard).pack.provider),
  );

export function placementOf(view: SegmentView, level: PlacementClass['level']): ShardPlacement {
  const { record, code } = view;
  return {
    alike: placementClass({ code: code.params, level, maps: mapsOf(view) }),
    chunks: record.chunkLens.length,
    bytes: record.chunkLens.reduce((sum, length) => sum + length, 0),
    packs: packsOf(view),
  };
}

const rowKey = (classId: string, segment: BlobAddress): string => `${classId}/${segment}`;

/** The row of a segment's class, then that of the segment. */
export const rowsOf = (
  { alike, ...shards }: ShardPlacement,
  { segment, manifest }: IndexedAt,
): [BatchOp, BatchOp] => [
  { table: CLASSES_TABLE, key: alike.id, value: encodeClass(alike, segment) },
  {
    table: SHARDS_TABLE,
    key: rowKey(alike.id, segment),
    value: encodeIndexed({ ...shards, manifest }),
  },
];

type ViewAt = IndexedAt & { readonly level: PlacementClass['level'] };

/**
 * What is to be written of a segment. Of several in one batch see {@link distinctOps}.
 */
export const indexedOps = (view: SegmentView, at: ViewAt): BatchOp[] =>
  rowsOf(placementOf(view, at.level), at);

/** What is to be written when a segment is no longer placed like this, or no longer there. The class stays. */
export const unindexedOps = (view: SegmentView, { segment, level }: ViewAt): BatchOp[] => [
  {
    table: SHARDS_TABLE,
    key: rowKey(placementOf(view, level).alike.id, segment),
    value: undefined,
  },
];

/** Of several writes of one entry the last: a batch may have no other. */
export const distinctOps = (ops: readonly BatchOp[]): BatchOp[] => [
  ...new Map(ops.map((op) => [`${op.table} ${op.key}`, op])).values(),
];

/** Says that rows of an object may lack, for the chore that writes them. */
export const toBeIndexed = (manifest: BlobAddress, value: Uint8Array = new Uint8Array(0)): BatchOp => ({
  table: UNINDEXED_TABLE,
  key: manifest,
  value,
});

/** Has all records gone through anew: some row that was there is not known any more. */
const passBegins: BatchOp = { table: UPKEEP_TABLE, key: PASS, value: undefined };

const MAX_OPS = 1024;
const MAX_OP_BYTES = 8 * 1024 ** 2;

/** Parts of which each has room in one batch, beside a few other entries. */
export function opsInParts(ops: readonly BatchOp[]): BatchOp[][] {
  const parts: BatchOp[][] = [];
  let bytes = 0;
  for (const op of ops) {
    const its = op.value?.length ?? 0;
    if (parts.length === 0 || parts.at(-1)!.length === MAX_OPS || bytes + its > MAX_OP_BYTES) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)!.push(op);
    bytes += its;
  }
  return parts;
}

/**
 * Every class that has segments; one that has none any more is dropped by the way.
 * @throws HoldfastError `Aborted`; what the engine throws, but for damaged rows.
 */
export async function* placementClasses(
  context: WithEngine,
  options: AbortOptions = {},
): AsyncGenerator<PlacementClass> {
  const damaged: string[] = [];
  const onDamaged = (key: string): void => void damaged.push(key);
  for await (const [id, row] of context.engine.table(CLASSES_TABLE).entries({ ...options, onDamaged })) {
    const one = readable(() => decodeClass(row, id));
    if (one === undefined) damaged.push(id);
    else if (await hasSegments(context, id, options)) yield one;
    else await dropClass(context, id, row);
  }
  await dropDamaged(context, CLASSES_TABLE, damaged);
}

interface SegmentsOptions extends AbortOptions {
  /** Begins behind this segment. */
  readonly after?: BlobAddress | undefined;
  /** Default: all. */
  readonly limit?: number | undefined;
}

/**
 * Segments of a class in the order of their addresses, as far as their objects are remembered.
 * @throws HoldfastError `Aborted`; what the engine throws, but for damaged rows.
 */
export async function* segmentsIn(
  context: WithEngine,
  classId: string,
  { after, limit = Number.POSITIVE_INFINITY, signal }: SegmentsOptions = {},
): AsyncGenerator<IndexedSegment> {
  const damaged: string[] = [];
  const onDamaged = (key: string): void => void damaged.push(key);
  const prefix = `${classId}/`;
  const from = after === undefined ? {} : { gte: prefix + after };
  let left = limit;
  if (left <= 0) return;
  for await (const [key, row] of context.engine
    .table(SHARDS_TABLE)
    .entries({ ...from, prefix, signal, onDamaged })) {
    const one = indexedIn(key, row);
    if (one === undefined) damaged.push(key);
    else if (one.segment !== after && (await isRemembered(context, one.manifest, { signal }))) {
      yield one;
      if (--left === 0) break;
    }
  }
  await dropDamaged(context, SHARDS_TABLE, damaged);
}

/** Undefined for a row that cannot be read, or stands nowhere. */
export function indexedIn(key: string, row: Uint8Array): IndexedSegment | undefined {
  const segment = key.slice(key.indexOf('/') + 1);
  const shards = isBlobAddress(segment) ? readable(() => decodeIndexed(row)) : undefined;
  return shards && { ...shards, segment: segment as BlobAddress };
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return undefined;
    throw error;
  }
}

async function hasSegments(context: WithEngine, id: string, options: AbortOptions): Promise<boolean> {
  let damaged = 0;
  const range = { ...options, prefix: `${id}/`, limit: 1, onDamaged: () => damaged++ };
  for await (const _ of context.engine.table(SHARDS_TABLE).entries(range)) return true;
  return damaged > 0;
}

/** A class that came into use meanwhile has another row. */
async function dropClass({ engine }: WithEngine, id: string, row: Uint8Array): Promise<void> {
  const place = { table: CLASSES_TABLE, key: id };
  // Where it cannot be, it costs the next reader another look.
  await engine.batch([{ ...place, value: undefined }], [{ ...place, expected: row }]).catch(() => {});
}

/** What they said is found again by going through all records. */
export async function dropDamaged(
  { engine }: WithEngine,
  table: string,
  keys: readonly string[],
): Promise<void> {
  for (let at = 0; at < keys.length; at += MAX_OPS) {
    const gone = keys.slice(at, at + MAX_OPS).map((key) => ({ table, key, value: undefined }));
    // A reader is not to fail for it: they are met again.
    await engine.batch([...gone, passBegins]).catch(() => {});
  }
}

/** Which class a segment stands under, of those given. */
export async function classAmong(
  context: WithEngine,
  segment: BlobAddress,
  classes: readonly string[],
  options: AbortOptions,
): Promise<string | undefined> {
  const table = context.engine.table(SHARDS_TABLE);
  for (const id of classes) {
    throwIfAborted(options.signal, 'looking up a segment');
    const row = await table.get(rowKey(id, segment), options).catch((error: unknown) => {
      if (isHoldfastError(error, 'Corrupt')) return undefined;
      throw error;
    });
    if (row !== undefined && indexedIn(rowKey(id, segment), row) !== undefined) return id;
  }
  return undefined;
}
