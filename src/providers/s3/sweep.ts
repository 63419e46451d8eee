import type { Clock } from '../../core/clock.ts';
import { isTempName } from '../stale.ts';
import type { WireAnswer } from '../wire/answer.ts';
import { removeKey, type S3Client } from './client.ts';
import { listPageOf, uploadsOf } from './xml.ts';

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
    ({ key, initiatedUnixMs }) => isOurs(key, prefix) && initiatedUnixMs < before,
  );
  for (const { key, uploadId } of uploads.slice(0, MAX_REMOVED)) {
    await removeKey(client, key, signal, { uploadId });
  }
  const listing = { 'list-type': '2', prefix: `${prefix}tmp/`, 'max-keys': PAGE };
  const page = await listPageOf(await client.call({ method: 'GET', query: listing, signal }));
  const temps = page.entries.filter(
    ({ key, modifiedUnixMs }) => isTempName(key.slice(prefix.length + 4)) && modifiedUnixMs < before,
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
  const stated = Date.parse(answer.header('date') ?? '');
  return Number.isNaN(stated) ? clock.now() : stated;
}
