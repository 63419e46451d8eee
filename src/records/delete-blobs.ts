import { type AbortOptions, abortable, throwIfAborted } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { entryOf } from '../core/maps.ts';
import { Stragglers, type Turn } from '../core/straggler-watch.ts';
import { DELETES } from '../object/straggler-policies.ts';
import type { RecordsContext } from './context.ts';

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
