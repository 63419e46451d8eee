import { type AbortOptions, linkedAbort } from '../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../core/address.ts';
import { u64 } from '../core/bytes.ts';
import type { VaultContext } from './ports.ts';

/** Blobs nobody needs that could not be deleted yet: `<provider>/<address>`. */
const TRASH_TABLE = 'trash';
const PARALLEL = 16;
/** Entries tried in one go, so that a provider that is gone for good costs each command little. */
const MAX_RETRIED = 512;

export interface BlobAt {
  readonly provider: string;
  readonly address: BlobAddress;
  /** Bytes of shards in it, for the quota; 0 for nodes, which are not counted. */
  readonly bytes: number;
}

/** Deletes blobs; those whose provider does not answer are queued for a later try. @returns how many were queued. */
export async function discard(
  context: VaultContext,
  blobs: readonly BlobAt[],
  options: AbortOptions = {},
): Promise<number> {
  let queued = 0;
  const left = [...blobs];
  const stop = linkedAbort(options.signal, 'delete');
  const work = async (): Promise<void> => {
    for (let blob = left.pop(); blob !== undefined; blob = left.pop()) {
      if (await tryDelete(context, blob, stop)) continue;
      await context.engine.table(TRASH_TABLE).put(`${blob.provider}/${blob.address}`, u64(blob.bytes));
      queued++;
    }
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL }, work));
  } finally {
    stop.dispose();
  }
  return queued;
}

/** Tries again what could not be deleted before. @returns how many blobs are still there. */
export async function emptyTrash(context: VaultContext, options: AbortOptions = {}): Promise<number> {
  const table = context.engine.table(TRASH_TABLE);
  const unreachable = new Set<string>();
  let left = 0;
  for await (const [key, value] of table.entries({ ...options, limit: MAX_RETRIED })) {
    const provider = key.slice(0, key.lastIndexOf('/'));
    const address = key.slice(key.lastIndexOf('/') + 1);
    if (!isBlobAddress(address)) await table.delete(key);
    else if (
      !unreachable.has(provider) &&
      (await tryDelete(context, { provider, address, bytes: bytesIn(value) }, options))
    ) {
      await table.delete(key);
    } else {
      unreachable.add(provider);
      left++;
    }
  }
  return left;
}

async function tryDelete(
  context: VaultContext,
  { provider, address, bytes }: BlobAt,
  options: AbortOptions,
): Promise<boolean> {
  const adapter = context.directory.get(provider)?.adapter;
  if (adapter === undefined) return false;
  try {
    await adapter.delete(address, options);
    if (bytes > 0) context.directory.deleted(provider, bytes);
    return true;
  } catch {
    return false;
  }
}

const bytesIn = (value: Uint8Array): number =>
  value.length === 8 ? Number(new DataView(value.buffer, value.byteOffset).getBigUint64(0, true)) : 0;
