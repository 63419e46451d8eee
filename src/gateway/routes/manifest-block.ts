import { addressFrom, etagOf } from '../../http/message/address.ts';
import { sendRepresentation } from '../../http/representation.ts';
import type { Endpoint } from '../../http/route.ts';
import type { GatewayContext } from '../context.ts';
import { cacheControl } from './objects.ts';

/**
 * `/manifests/{address}`: the root block of a manifest as DAG-CBOR. It is what providers keep: public fields, and
 * sealed ones that tell nothing without a key. Whoever gets it can check that it hashes to its address.
 */
export const getManifestBlock: Endpoint<GatewayContext> = {
  scope: 'read',
  load: 'read',
  async run({ store, clock, limits }, exchange, [text]) {
    const address = addressFrom(text);
    const bytes = await store.manifestBlock(address, exchange.signal);
    const representation = {
      etag: etagOf(address),
      size: bytes.length,
      contentType: 'application/vnd.ipld.dag-cbor',
      cacheControl: cacheControl(exchange, 'max-age=31536000, immutable'),
      bytes,
      read: () => {
        throw new TypeError('it is in memory');
      },
    };
    await sendRepresentation(exchange, representation, clock, limits);
  },
};
