import type { AbortOptions } from '../core/abort.ts';
import { isBlobAddress } from '../core/address.ts';
import { u64 } from '../core/bytes.ts';
import { writeInBatches } from '../engine/batches.ts';
import type { BatchOp, Table } from '../engine/engine.ts';
import type { RecordsContext } from './context.ts';
import { type BlobAt, deleteBlobs } from './delete-blobs.ts';

export type { BlobAt } from './delete-blobs.ts';

/** Blobs nobody needs that could not be deleted yet: `<provider>/<address>`. */
const TRASH_TABLE = 'trash';
/** Entries of each provider tried in one go. */
const MAX_RETRIED = 128;

const keyOf = ({ provider, address }: BlobAt): string => `${provider}/${address}`;

/** Deletes blobs; those whose provider does not answer are queued for a later try. @returns how many were queued. */
export async function deleteOrQueue(
  context: RecordsContext,
  blobs: readonly BlobAt[],
  options: AbortOptions = {},
): Promise<number> {
  const left = await deleteBlobs(context, blobs, options);
  await writeInBatches(context.engine, trashed(left));
  return left.length;
}

/** What is to be written of blobs that are to be deleted later; each place once. */
export function trashed(blobs: readonly BlobAt[]): BatchOp[] {
  const places = new Map(blobs.map((blob) => [keyOf(blob), blob.bytes]));
  return [...places].map(([key, bytes]) => ({ table: TRASH_TABLE, key, value: u64(bytes) }));
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
