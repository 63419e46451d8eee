import { addressFrom, etagOf } from '../../http/message/address.ts';
import type { ByteRange } from '../../http/message/range.ts';
import { sendRepresentation } from '../../http/representation.ts';
import type { Endpoint } from '../../http/route.ts';
import type { GatewayContext } from '../context.ts';
import { cacheControl } from './objects.ts';

/** `/o/{address}`: a blob as a provider keeps it, ciphertext, checked whole against its address. */
export const getStoredBlob: Endpoint<GatewayContext> = {
  scope: 'read',
  load: 'read',
  async run({ store, clock, limits, slowReaders }, exchange, [text]) {
    const address = addressFrom(text);
    const stored = await store.openBlob(address, exchange.signal);
    const blob = {
      etag: etagOf(address),
      size: stored.size,
      read: (range: ByteRange, signal: AbortSignal) =>
        slowReaders.watch(exchange, stored.read(range, signal)),
      contentType: 'application/octet-stream',
      cacheControl: cacheControl(exchange, 'max-age=31536000, immutable'),
    };
    await sendRepresentation(exchange, blob, clock, limits);
  },
};
