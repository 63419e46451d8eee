import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import { addressOf, type BlobAddress, isBlobAddress, parseAddress } from '../core/address.ts';
import { utf8Encode } from '../core/bytes.ts';
import { isHoldfastError } from '../core/errors.ts';
import { entriesFrom } from '../engine/batches.ts';
import {
  type BatchOp,
  type Engine,
  type EntriesOptions,
  MAX_BATCH_ENTRIES,
  type Precondition,
} from '../engine/engine.ts';
import { decodeRoot, type OpenRoot, openRoot, type RootRecord } from '../manifest/root.ts';
import { DamageLog } from '../object/damage.ts';
import { fetchNode } from '../object/fetch-node.ts';
import type { RecordsContext } from './context.ts';

/** Roots this vault has put or recovered: address → block. Whole objects are found without asking a provider. */
const ROOTS_TABLE = 'manifests';
/** `<stored ms, 14 digits>/<address>` → nothing: the order of `holdfast manifests`. */
const ORDER_TABLE = 'manifest_order';

/** Address → stored ms: leads from a root to its place in the order. */
const TIMES_TABLE = 'manifest_times';

/** Addresses of objects that are being deleted → nothing: what is there of them is not moved any more. */
const ENDING_TABLE = 'ending';

/** Address → JSON of the bytes that the object's shards take up at each provider. */
export const USAGE_TABLE = 'manifest_usage';

/** `<manifest>/<chunk, 10 digits>` → JSON: a chunk that could not be repaired, and when it is tried again. */
export const BACKOFF_TABLE = 'repair_backoff';

/** Bytes of shards by provider, as they count against quotas. */
export type Usage = ReadonlyMap<string, number>;

/** Where a manifest stands in the order of all. */
export const orderKey = (storedMs: number, address: BlobAddress): string =>
  `${String(storedMs).padStart(14, '0')}/${address}`;

export interface RootToKeep {
  readonly address: BlobAddress;
  readonly bytes: Uint8Array;
  readonly storedMs: number;
  /** Undefined: to be counted later. */
  readonly usage: Usage | undefined;
}

/** What is to be written of a root that was put or recovered. */
export function rememberedRoot({ address, bytes, storedMs, usage }: RootToKeep): BatchOp[] {
  return [
    { table: ROOTS_TABLE, key: address, value: bytes },
    { table: TIMES_TABLE, key: address, value: utf8Encode(String(storedMs)) },
    { table: ORDER_TABLE, key: orderKey(storedMs, address), value: new Uint8Array(0) },
    ...(usage === undefined ? [] : [usageEntry(address, usage)]),
  ];
}

/** What an object takes up, kept beside its root, so that what all take up can be counted without asking anyone. */
export function usageEntry(manifest: BlobAddress, usage: Usage): BatchOp {
  const text = JSON.stringify({ v: 1, bytes: Object.fromEntries(usage) });
  return { table: USAGE_TABLE, key: manifest, value: utf8Encode(text) };
}

/** Whether shards of an object may be moved: the vault has it, and does not delete it. */
export interface Standing {
  readonly isThere: boolean;
  /** That it stays as it is. */
  readonly holds: readonly Precondition[];
}

/** @throws HoldfastError `Corrupt` when it cannot be read. */
export async function manifestStands(
  engine: Engine,
  manifest: BlobAddress,
  options: AbortOptions = {},
): Promise<Standing> {
  const stored = await engine.table(TIMES_TABLE).get(manifest, options);
  const ending = await engine.table(ENDING_TABLE).get(manifest, options);
  return {
    isThere: stored !== undefined && ending === undefined,
    holds: [
      { table: TIMES_TABLE, key: manifest, expected: stored },
      { table: ENDING_TABLE, key: manifest, expected: ending },
    ],
  };
}

/** From now on nobody moves shards of an object; false: they may be moved again. */
export const ending = (manifest: BlobAddress, ends: boolean): BatchOp => ({
  table: ENDING_TABLE,
  key: manifest,
  value: ends ? new Uint8Array(0) : undefined,
});

/** @param also is written in the same step. */
export async function forgetRoot(
  context: RecordsContext,
  address: BlobAddress,
  options?: AbortOptions,
  also: readonly BatchOp[] = [],
): Promise<void> {
  const tables = [ROOTS_TABLE, USAGE_TABLE, TIMES_TABLE, ENDING_TABLE];
  const gone = tables.map((table) => ({ table, key: address, value: undefined }));
  const places = (await placesInOrder(context, address, options)).map((key) => ({
    table: ORDER_TABLE,
    key,
    value: undefined,
  }));
  const putOff = await backoffsToForget(context, address, options);
  await context.engine.batch([...gone, ...places, ...putOff, ...also], [], options ?? {});
}

/** More than fit into one step are removed before. */
async function backoffsToForget(
  { engine }: RecordsContext,
  manifest: BlobAddress,
  options: AbortOptions = {},
): Promise<BatchOp[]> {
  let ops: BatchOp[] = [];
  const add = (key: string): void => void ops.push({ table: BACKOFF_TABLE, key, value: undefined });
  const range = { ...options, prefix: `${manifest}/`, onDamaged: add };
  for await (const [key] of engine.table(BACKOFF_TABLE).entries(range)) {
    add(key);
    if (ops.length < MAX_BATCH_ENTRIES / 2) continue;
    await engine.batch(ops, [], options);
    ops = [];
  }
  return ops;
}

/** Where a manifest stands in the order; where the time that tells it is damaged, only looking at all finds it. */
async function placesInOrder(
  context: RecordsContext,
  address: BlobAddress,
  options: AbortOptions | undefined,
): Promise<string[]> {
  try {
    const storedMs = await context.engine.table(TIMES_TABLE).get(address, options);
    if (storedMs === undefined) return [];
    const place = orderKey(Number(Buffer.from(storedMs).toString('latin1')), address);
    if ((await context.engine.table(ORDER_TABLE).get(place, options)) !== undefined) return [place];
  } catch (error) {
    if (!isHoldfastError(error, 'Corrupt')) throw error;
  }
  const places: string[] = [];
  for await (const key of keysInOrder(context, options)) if (key.endsWith(`/${address}`)) places.push(key);
  return places;
}

/** The keys say all that the order is: one whose value is damaged is like any other. */
async function* keysInOrder(context: RecordsContext, options: EntriesOptions = {}): AsyncGenerator<string> {
  const damaged: string[] = [];
  const onDamaged = (key: string): void => void damaged.push(key);
  for await (const [key] of context.engine.table(ORDER_TABLE).entries({ ...options, onDamaged })) {
    yield* damaged.splice(0);
    yield key;
  }
  yield* damaged;
}

/** A root block by address: from the engine, else from the providers. @throws HoldfastError `NotFound`. */
export async function loadRoot(
  context: RecordsContext,
  address: BlobAddress,
  damage: DamageLog,
  options: AbortOptions = {},
): Promise<Uint8Array> {
  return (await localRoot(context, address, options)) ?? fetchNode(context, address, damage, options.signal);
}

/** A root block from the engine; undefined for a damaged one too, for it is only a copy. */
export async function localRoot(
  context: RecordsContext,
  address: BlobAddress,
  options: AbortOptions = {},
): Promise<Uint8Array | undefined> {
  const local = await context.engine
    .table(ROOTS_TABLE)
    .get(address, options)
    .catch((error: unknown) => {
      if (isHoldfastError(error, 'Corrupt')) return undefined;
      throw error;
    });
  return local !== undefined && addressOf(context.blake3.hash(local)) === address ? local : undefined;
}

export async function openManifest(
  context: RecordsContext,
  address: BlobAddress,
  damage: DamageLog,
  options: AbortOptions = {},
): Promise<OpenRoot> {
  return openRoot(await loadRoot(context, address, damage, options), context.keys.wrap);
}

/** Failure domains in which copies of a name outlive what its object does; 0 where its root is not at hand. */
export async function domainsWanted(
  context: RecordsContext,
  manifest: BlobAddress,
  options: AbortOptions = {},
): Promise<number> {
  const root = await localRoot(context, manifest, options);
  return root === undefined ? 0 : decodeRoot(root).certificate.tolerates + 1;
}

/** How many manifests this vault has; `more`: it has more than were counted. */
export async function countManifests(
  context: RecordsContext,
  options: AbortOptions & { readonly limit: number },
): Promise<{ readonly count: number; readonly more: boolean }> {
  let count = 0;
  for await (const _ of keysInOrder(context, { signal: options.signal })) {
    if (count === options.limit) return { count, more: true };
    count++;
  }
  return { count, more: false };
}

export interface ManifestEntry {
  readonly address: BlobAddress;
  readonly storedMs: number;
  readonly root: RootRecord;
}

/** Manifests of this vault, newest first. */
export async function* listManifests(
  context: RecordsContext,
  options: AbortOptions & { readonly limit?: number | undefined } = {},
): AsyncIterable<ManifestEntry> {
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  for await (const key of keysInOrder(context, { reverse: true, signal: options.signal })) {
    if (left-- <= 0) return;
    const [storedMs, text] = key.split('/') as [string, string];
    const address = parseAddress(text);
    const block = await rootOrNothing(context, address, options);
    if (block === undefined) continue;
    yield { address, storedMs: Number(storedMs), root: decodeRoot(block) };
  }
}

/** A damaged copy is asked for at the providers; one that none of them has now does not end the list. */
async function rootOrNothing(
  context: RecordsContext,
  address: BlobAddress,
  options: AbortOptions,
): Promise<Uint8Array | undefined> {
  try {
    return await loadRoot(context, address, new DamageLog(), options);
  } catch {
    throwIfAborted(options.signal, 'list');
    return undefined;
  }
}

/**
 * All manifests of this vault, the oldest first, and when they were stored.
 * @param onDamaged told of records that cannot be read, which are then left out. Default: they are an error, for whoever
 * must not take a manifest for one that is not there.
 * @param options `gte`: begins at this key, which is later than all that are stored before it; `lt` with `reverse`: the other way,
 * from the newest before this key.
 */
export async function* storedManifests(
  context: RecordsContext,
  options: AbortOptions & Pick<EntriesOptions, 'onDamaged' | 'gte' | 'lt' | 'reverse'>,
): AsyncGenerator<{ readonly manifest: BlobAddress; readonly storedMs: number; readonly key: string }> {
  const { signal, gte, lt, reverse } = options;
  for await (const key of keysInOrder(context, { signal, gte, lt, reverse })) {
    const slash = key.indexOf('/');
    const text = key.slice(slash + 1);
    if (options.onDamaged !== undefined && !isBlobAddress(text)) options.onDamaged(key);
    else yield { manifest: parseAddress(text), storedMs: Number(key.slice(0, slash)), key };
  }
}

/** When a manifest was stored, as it is written; undefined where it is not remembered, or was forgotten. */
export async function storedAs(
  context: Pick<RecordsContext, 'engine'>,
  manifest: BlobAddress,
  options: AbortOptions = {},
): Promise<Precondition | 'damaged' | undefined> {
  try {
    const expected = await context.engine.table(TIMES_TABLE).get(manifest, options);
    return expected && { table: TIMES_TABLE, key: manifest, expected };
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return 'damaged';
    throw error;
  }
}

/** When a manifest was stored, in milliseconds since 1970; undefined where it is not remembered, or the record is damaged. */
export async function storedTime(
  context: Pick<RecordsContext, 'engine'>,
  manifest: BlobAddress,
  options: AbortOptions,
): Promise<number | undefined> {
  const stored = await storedAs(context, manifest, options);
  if (stored === undefined || stored === 'damaged') return undefined;
  return Number(Buffer.from(stored.expected!).toString('latin1'));
}

/** Whether a manifest is remembered, without reading its root. */
export const isRemembered = async (
  context: Pick<RecordsContext, 'engine'>,
  manifest: BlobAddress,
  options: AbortOptions,
): Promise<boolean> => (await storedAs(context, manifest, options)) !== undefined;

/** Looks for a manifest that no vault has: whether records can be read at all. @throws what the engine throws. */
export async function readRecords(
  context: Pick<RecordsContext, 'engine'>,
  options: AbortOptions,
): Promise<void> {
  await storedAs(context, NO_MANIFEST, options);
}

const NO_MANIFEST = parseAddress(`b3:${'0'.repeat(64)}`);

/** The manifests that are remembered, those from an address on first. */
export async function* manifestsFrom(
  context: RecordsContext,
  from: string,
  options: AbortOptions,
): AsyncGenerator<BlobAddress> {
  const table = context.engine.table(TIMES_TABLE);
  for await (const [key] of entriesFrom(table, '', from, () => {}, options)) {
    if (isBlobAddress(key)) yield key;
  }
}

/** Whether an address is one of this vault's manifests, without decoding it. */
export async function knowsManifest(context: RecordsContext, address: BlobAddress): Promise<boolean> {
  try {
    return (await context.engine.table(ROOTS_TABLE).get(address)) !== undefined;
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return false;
    throw error;
  }
}
