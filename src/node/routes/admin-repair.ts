import { type BlobAddress, isBlobAddress } from '../../core/address.ts';
import { isHoldfastError } from '../../core/errors.ts';
import { sendJson } from '../../http/message/respond.ts';
import type { NodeContext, NodeEndpoint } from '../context.ts';
import { pageOfBlobs } from './blob-list.ts';
import { limitOf, parameter } from './page.ts';

interface ScrubReport {
  readonly checked: number;
  readonly checkedBytes: number;
  /** Blobs whose bytes are not theirs. */
  readonly damaged: readonly BlobAddress[];
  /** Of these, the ones that were removed, so that their owners see them missing and put them back. */
  readonly removed: readonly BlobAddress[];
  /** What to give as `after` to go on. */
  readonly next?: string;
}

/**
 * `POST /admin/repair?prefix=&limit=&after=&remove=`: reads a page of blobs from the disk, caches or not, and reports
 * those that rotted. A node over one folder holds no other copy; with `remove=true` it makes room for one.
 */
export const repair: NodeEndpoint = {
  scope: 'admin',
  load: 'write',
  async run(context, exchange) {
    const remove = parameter(exchange, 'remove', /^(true|false)?$/) === 'true';
    const { names, next } = await pageOfBlobs(context, exchange, limitOf(exchange));
    const report = await scrub(context, names.filter(isBlobAddress), remove, exchange.signal);
    sendJson(exchange, 200, { ...report, ...(next === undefined ? {} : { next }) });
  },
};

async function scrub(
  { reader, adapter }: NodeContext,
  addresses: readonly BlobAddress[],
  remove: boolean,
  signal: AbortSignal,
): Promise<ScrubReport> {
  const damaged: BlobAddress[] = [];
  const removed: BlobAddress[] = [];
  let checkedBytes = 0;
  for (const address of addresses) {
    try {
      checkedBytes += await reader.scrub(address, signal);
    } catch (error) {
      if (isHoldfastError(error, 'NotFound')) continue;
      if (!isHoldfastError(error, 'HashMismatch') && !isHoldfastError(error, 'Corrupt')) throw error;
      damaged.push(address);
      if (!remove) continue;
      await adapter.delete(address, { signal });
      removed.push(address);
    }
  }
  return { checked: addresses.length, checkedBytes, damaged, removed };
}
