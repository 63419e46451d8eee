import { addressFrom, etagOf } from '../../http/message/address.ts';
import { sendRepresentation } from '../../http/representation.ts';
import type { NodeEndpoint } from '../context.ts';

/** Private: what a token was needed for is not for shared caches. */
const CACHE_CONTROL = 'private, max-age=31536000, immutable';

/** `GET` and `HEAD /o/{address}`: 200, 206, 304, 412, 416, 404; 500 for bytes that are not what they should be. */
export const getBlob: NodeEndpoint = {
  scope: 'read',
  load: 'read',
  async run({ reader, clock, limits }, exchange, [text]) {
    const address = addressFrom(text);
    const blob = await reader.open(address, exchange);
    const representation = {
      etag: etagOf(address),
      size: blob.size,
      bytes: blob.bytes,
      release: blob.release,
      hold: blob.hold,
      read: blob.read,
      contentType: 'application/octet-stream',
      cacheControl: CACHE_CONTROL,
    };
    await sendRepresentation(exchange, representation, clock, limits);
  },
};
