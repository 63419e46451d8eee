import { type AbortOptions, abortable, throwIfAborted } from '../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../core/address.ts';
import { u64 } from '../core/bytes.ts';
import { entryOf } from '../core/maps.ts';
import { DELETES } from '../core/straggler-policies.ts';
import { Stragglers, type Turn } from '../core/stragglers.ts';
import { writeInBatches } from '../engine/batches.ts';
import type { BatchOp, Table } from '../engine/engine.ts';
import type { RecordsContext } from './context.ts';

/** Blobs nobody needs that could not be deleted yet: `<provider>/<address>`. */
const TRASH_TABLE = 'trash';
/** Entries of each provider tried in one go. */
const MAX_RETRIED = 128;

const keyOf = ({ provider, address }: Pick<BlobAt, 'provider' | 'address'>): string =>
  `${provider}/${address}`;

/** Deletes blobs; those whose provider does not answer are queued for a later try. @returns how many were queued. */
export async function deleteOrQueue(
  context: RecordsContext,
  blobs: readonly BlobAt[],
  options: AbortOptions = {},
): Promise<number> {
  const left = await deleteBlobs(context, blobs, options);
  await queueDeletes(context, left);
  return left.length;
}

/** Queues blobs to be deleted later, whether or not they are there yet. */
export async function queueDeletes({ engine }: RecordsContext, blobs: readonly BlobAt[]): Promise<void> {
  await writeInBatches(engine, trashed(blobs));
}

/** What is to be written of blobs that are to be deleted later; each place once. */
export function trashed(blobs: readonly BlobAt[]): BatchOp[] {
  const places = new Map(blobs.map((blob) => [keyOf(blob), blob.bytes]));
  return [...places].map(([key, bytes]) => ({ table: TRASH_TABLE, key, value: u64(bytes) }));
}

/** Whether a blob is to be deleted at some provider. */
export async function isTrashed(context: RecordsContext, address: BlobAddress): Promise<boolean> {
  const table = context.engine.table(TRASH_TABLE);
  for (const { id: provider } of context.directory.all()) {
    if ((await table.get(keyOf({ provider, address }))) !== undefined) return true;
  }
  return false;
}

/** Tries again what could not be deleted before. @returns how many blobs of those tried are still there. */
export async function emptyTrash(context: RecordsContext, options: AbortOptions = {}): Promise<number> {
  const table = context.engine.table(TRASH_TABLE);
  if (await isEmpty(table, options)) return 0;
  const tried: BlobAt[] = [];
  for (const { id: provider } of context.directory.all()) {
    const its = { ...options, prefix: `${provider}/`, limit: MAX_RETRIED };
    for await (const [key, value] of table.entries(its)) {
      const address = key.slice(provider.length + 1);
      if (isBlobAddress(address)) tried.push({ provider, address, bytes: bytesIn(value) });
      else await table.delete(key);
    }
  }
  const left = new Set(await deleteBlobs(context, tried, options));
  const gone = tried.filter((blob) => !left.has(blob));
  await writeInBatches(
    context.engine,
    gone.map((blob) => ({ table: TRASH_TABLE, key: keyOf(blob), value: undefined })),
  );
  return left.size;
}

/** Of these places, `<provider>/<address>`, those that wait to be deleted. */
export async function queuedAmong(
  { engine }: RecordsContext,
  places: Iterable<string>,
  options: AbortOptions,
): Promise<string[]> {
  const table = engine.table(TRASH_TABLE);
  const queued: string[] = [];
  for (const place of places) if ((await table.get(place, options)) !== undefined) queued.push(place);
  return queued;
}

/** Bytes of shards that are still there, waiting to be deleted. */
export async function* trashedBytes(
  context: RecordsContext,
  options: AbortOptions,
): AsyncGenerator<{ readonly provider: string; readonly bytes: number }> {
  for await (const [key, value] of context.engine.table(TRASH_TABLE).entries(options)) {
    yield { provider: key.slice(0, key.lastIndexOf('/')), bytes: bytesIn(value) };
  }
}

/** As it is nearly always, so that one look is enough. */
async function isEmpty(table: Table, options: AbortOptions): Promise<boolean> {
  for await (const _ of table.entries({ ...options, limit: 1 })) return false;
  return true;
}

const bytesIn = (value: Uint8Array): number =>
  value.length === 8 ? Number(new DataView(value.buffer, value.byteOffset).getBigUint64(0, true)) : 0;

export interface BlobAt {
  readonly provider: string;
  readonly address: BlobAddress;
  /** Bytes of shards in it, for the quota; 0 for nodes, which are not counted. */
  readonly bytes: number;
}

/** Under way at once at each provider. */
const PARALLEL = 4;

/**
 * Deletes blobs, those of all providers at once. Nothing depends on it being done now, so nobody is waited for who is
 * known not to answer, or stands still while others get on.
 * @returns those that are still there, as far as is known.
 */
export async function deleteBlobs(
  context: RecordsContext,
  blobs: readonly BlobAt[],
  options: AbortOptions = {},
): Promise<BlobAt[]> {
  const { clock, directory } = context;
  const left: BlobAt[] = [];
  const deleteOne = async (blob: BlobAt, { signal, progressed }: Turn): Promise<void> => {
    const adapter = directory.get(blob.provider)?.adapter;
    if (adapter === undefined) return void left.push(blob);
    const started = clock.monotonic();
    try {
      throwIfAborted(signal, 'delete');
      await abortable(adapter.delete(blob.address, { signal }), signal, 'delete');
      if (blob.bytes > 0) directory.deleted(blob.provider, blob.bytes);
      progressed(clock.monotonic() - started);
      directory.heard(blob.provider);
    } catch {
      left.push(blob);
    }
  };
  const laggards = new Stragglers(clock, DELETES);
  const deleteAt = async (provider: string, its: BlobAt[]): Promise<void> => {
    if (!directory.isResponsive(provider)) return void left.push(...its);
    const turn = laggards.begin(options.signal, 'delete', () => directory.late(provider));
    const work = async (): Promise<void> => {
      for (let blob = its.pop(); blob !== undefined; blob = its.pop()) await deleteOne(blob, turn);
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
    turn.end();
  };
  try {
    await Promise.all([...byProvider(blobs)].map(([provider, its]) => deleteAt(provider, its)));
  } finally {
    laggards.close();
  }
  return left;
}

function byProvider(blobs: readonly BlobAt[]): Map<string, BlobAt[]> {
  const sorted = new Map<string, BlobAt[]>();
  for (const blob of blobs) entryOf(sorted, blob.provider, () => []).push(blob);
  return sorted;
}
