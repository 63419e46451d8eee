import { HoldfastError } from '../../core/errors.ts';
import type { S3Client } from './client.ts';
import { listPageOf } from './xml.ts';

/** Keys under `start`, ascending, from behind `after` on. */
export type KeyListing = (
  start: string,
  after: string,
  signal: AbortSignal | undefined,
) => AsyncGenerator<string, void, undefined>;

/** Pages without a key that may follow each other; servers are known to send one now and then. */
const MAX_EMPTY_PAGES = 8;

/**
 * Listings of a bucket, page by page. Each page has to go on where the one before ended; a server that repeats itself, or
 * promises more and more and gives nothing, is found out.
 */
export function createKeyListing(client: S3Client, pageKeys: number): KeyListing {
  return async function* (start, after, signal) {
    let token: string | undefined;
    let last: Buffer | undefined;
    const behind = after === '' ? {} : { 'start-after': after };
    for (let empty = 0; empty <= MAX_EMPTY_PAGES; ) {
      const query = {
        'list-type': '2',
        prefix: start,
        'max-keys': String(pageKeys),
        ...(token === undefined ? behind : { 'continuation-token': token }),
      };
      const { entries, next } = await listPageOf(await client.call({ method: 'GET', query, signal }));
      const ours = entries.filter(({ key }) => key.startsWith(start));
      for (const { key } of ours) {
        // By their bytes, as servers order them.
        const bytes = Buffer.from(key);
        if (last !== undefined && bytes.compare(last) <= 0) throw doesNotAdvance();
        last = bytes;
        // A server that does not know `start-after` begins at the beginning.
        if (key > after) yield key;
      }
      if (next === undefined) return;
      if (next === token) throw doesNotAdvance();
      empty = ours.length === 0 ? empty + 1 : 0;
      token = next;
    }
    throw doesNotAdvance();
  };
}

const doesNotAdvance = (): HoldfastError =>
  new HoldfastError('Corrupt', 'the listing of the bucket does not advance', {
    code: 'listing_disordered',
    hint: 'This server does not keep to the protocol of S3; see its logs.',
  });
