import type { BlobAddress } from '../../core/address.ts';
import type { Driver } from '../driver.ts';
import { collect } from '../pieces.ts';
import type { WireAnswer } from './answer.ts';
import { fillWindow, windowOf } from './body.ts';

/** Asks for a window of a blob, or for all of it. The answer may be one to the range, or the whole blob. */
export type OpenWindow = (
  address: BlobAddress,
  offset: number,
  length: number | undefined,
  signal: AbortSignal | undefined,
) => Promise<WireAnswer>;

/** The part of a driver that reads. */
export function wireReads(open: OpenWindow): Pick<Driver, 'fetch' | 'fetchRange' | 'read'> {
  const read: Driver['read'] = async function* (address, offset, length, signal) {
    yield* windowOf(await open(address, offset, length, signal), offset, length);
  };
  return {
    read,
    fetch: (address, maxBytes, signal) => collect(read(address, 0, undefined, signal), maxBytes),
    fetchRange: async (address, offset, into, length, signal) =>
      fillWindow(await open(address, offset, length, signal), offset, length, into),
  };
}
