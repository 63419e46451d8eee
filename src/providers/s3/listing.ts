import type { Clock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import { isTempName } from '../leftovers.ts';
import { statedTime, type WireAnswer } from '../wire/answer.ts';
import { removeKey, type S3Client } from './client.ts';
import { type ListedKey, listPageOf, uploadsOf } from './xml.ts';

/** Keys under `start`, ascending, from behind `after` on, and what the server tells of them. */
export type KeyListing = (
  start: string,
  after: string,
  signal: AbortSignal | undefined,
) => AsyncGenerator<ListedKey, void, undefined>;

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
      for (const entry of ours) {
        const { key } = entry;
        // By their bytes, as servers order them.
        const bytes = Buffer.from(key);
        if (last !== undefined && bytes.compare(last) <= 0) throw doesNotAdvance();
        last = bytes;
        // A server that does not know `start-after` begins at the beginning.
        if (key > after) yield entry;
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

export interface SweepPlace {
  readonly client: S3Client;
  readonly prefix: string;
  readonly clock: Clock;
  /** Age from which on an upload counts as left behind. */
  readonly staleMs: number;
}

/** At most so many are removed of each kind, since an upload waits for this; the rest is left to the next sweep. */
const MAX_REMOVED = 100;
const PAGE = '1000';
const BLOB_NAME = /^[0-9a-f]{64}$/;

/**
 * Removes what crashed writers left under the prefix: multipart uploads that were neither completed nor aborted, whose
 * parts are paid for and in no listing, and temporary objects. Whatever is not named as ours are is left alone.
 */
export async function sweepLeftovers(place: SweepPlace, signal: AbortSignal | undefined): Promise<void> {
  const { client, prefix } = place;
  const query = { uploads: '', prefix, 'max-uploads': PAGE };
  const answer = await client.call({ method: 'GET', query, signal });
  const before = serverNow(answer, place.clock) - place.staleMs;
  const uploads = (await uploadsOf(answer)).filter(
    ({ key, initiatedUnixMs }) => isOurs(key, prefix) && (initiatedUnixMs ?? before) < before,
  );
  for (const { key, uploadId } of uploads.slice(0, MAX_REMOVED)) {
    await removeKey(client, key, signal, { uploadId });
  }
  const listing = { 'list-type': '2', prefix: `${prefix}tmp/`, 'max-keys': PAGE };
  const page = await listPageOf(await client.call({ method: 'GET', query: listing, signal }));
  const temps = page.entries.filter(
    ({ key, modifiedUnixMs }) =>
      isTempName(key.slice(prefix.length + 4)) && (modifiedUnixMs ?? before) < before,
  );
  for (const { key } of temps.slice(0, MAX_REMOVED)) await removeKey(client, key, signal);
}

function isOurs(key: string, prefix: string): boolean {
  if (!key.startsWith(prefix)) return false;
  const [folder, name = '', ...more] = key.slice(prefix.length).split('/');
  if (more.length > 0) return false;
  return (folder === 'blobs' && BLOB_NAME.test(name)) || (folder === 'tmp' && isTempName(name));
}

/** Ages are the server's to tell: this machine's clock may be wrong by more than an upload takes. */
function serverNow(answer: WireAnswer, clock: Clock): number {
  return statedTime(answer).clockUnixMs ?? clock.now();
}
