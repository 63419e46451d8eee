import { utf8Encode } from '../../core/bytes.ts';
import { type Clock, withDeadline } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import { checkedBody, type S3Client } from './client.ts';
import { completeBody, uploadIdOf } from './xml.ts';

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
