import { throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { toHex, utf8Encode } from '../../core/bytes.ts';
import { type Clock, withDeadline } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { StoreResult } from '../adapter.ts';
import type { AdapterDeps, Upload } from '../driver.ts';
import { overwriting } from '../guard.ts';
import { checkedBody, type S3Client } from './client.ts';
import { completeBody, uploadIdOf } from './xml.ts';

export interface UploadPlace {
  readonly client: S3Client;
  readonly partBytes: number;
  keyOf(address: BlobAddress): string;
  /** For a blob whose address is not known yet. */
  tempKey(random: string): string;
  /** Stores what is in memory. */
  put(key: string, parts: readonly Uint8Array[], size: number): Promise<void>;
  begin(key: string): Promise<Multipart>;
  /** Undefined where it is not there. */
  sizeOf(address: BlobAddress): Promise<number | undefined>;
  remove(key: string): Promise<void>;
}

/**
 * Collects up to one part in memory; what is longer goes up in parts. A blob of unknown address goes up under a name
 * of its own and is copied by the server, since a multipart upload cannot change its key.
 */
export function s3Upload(
  place: UploadPlace,
  { clock, random }: AdapterDeps,
  address: BlobAddress | undefined,
  signal: AbortSignal | undefined,
  replace: boolean,
): Upload {
  const key = address === undefined ? place.tempKey(toHex(random(16))) : place.keyOf(address);
  let pieces: Uint8Array[] = [];
  let held = 0;
  let multipart: Multipart | undefined;
  let completed = false;

  const flush = async (): Promise<void> => {
    multipart ??= await place.begin(key);
    await multipart.add(pieces, held);
    pieces = [];
    held = 0;
  };
  const finish = async (found: BlobAddress): Promise<void> => {
    if (multipart === undefined) return place.put(place.keyOf(found), pieces, held);
    if (held > 0) await flush();
    await multipart.complete();
    completed = true;
    if (key === place.keyOf(found)) return;
    const headers = { 'x-amz-copy-source': place.client.copySource(key) };
    await checkedBody(
      await place.client.call({ method: 'PUT', key: place.keyOf(found), headers, signal }),
      clock,
    );
    await place.remove(key);
  };
  const discard = async (): Promise<void> => {
    pieces = [];
    if (completed && address === undefined) await place.remove(key).catch(() => {});
    else if (!completed) await multipart?.cancel();
  };

  return {
    async write(piece) {
      for (let at = 0; at < piece.length; ) {
        const part = piece.slice(at, at + place.partBytes - held);
        pieces.push(part);
        held += part.length;
        at += part.length;
        if (held === place.partBytes) await flush();
      }
    },
    async commit(found, size): Promise<StoreResult> {
      throwIfAborted(signal, 'storeStream');
      const there = await place.sizeOf(found);
      const existed = replace ? there !== undefined : there === size;
      if (existed && !replace) await discard();
      else await overwriting(existed, () => finish(found));
      return { existed };
    },
    discard,
  };
}

/** A blob sent in parts; invisible until `complete`. Ends with one of `complete` and `cancel`. */
export interface Multipart {
  /** All parts but the last have the same length. */
  add(part: readonly Uint8Array[], size: number): Promise<void>;
  complete(): Promise<void>;
  /** Makes the server forget the parts; never throws. */
  cancel(): Promise<void>;
}

const CANCEL_TIMEOUT_MS = 10_000;

export async function beginMultipart(
  client: S3Client,
  key: string,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<Multipart> {
  const begun = await client.call({ method: 'POST', key, query: { uploads: '' }, signal });
  const uploadId = uploadIdOf(await begun.text());
  const etags: string[] = [];
  return {
    async add(body, bodyBytes) {
      const query = { partNumber: String(etags.length + 1), uploadId };
      const answer = await client.call({ method: 'PUT', key, query, body, bodyBytes, signal });
      await answer.discard();
      const etag = answer.header('etag');
      if (etag === undefined) throw new HoldfastError('Unavailable', 'a part was answered without an ETag');
      etags.push(etag);
    },
    async complete() {
      const body = utf8Encode(completeBody(etags));
      const request = {
        method: 'POST',
        key,
        query: { uploadId },
        body: [body],
        bodyBytes: body.length,
        signal,
      } as const;
      await checkedBody(await client.call(request), clock);
    },
    async cancel() {
      const cancelling = withDeadline(clock, CANCEL_TIMEOUT_MS, 'cancel', async (deadline) => {
        const answer = await client.call({ method: 'DELETE', key, query: { uploadId }, signal: deadline });
        await answer.discard();
      });
      await cancelling.catch(() => {});
    },
  };
}
