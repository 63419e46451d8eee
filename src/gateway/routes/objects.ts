import type { Exchange } from '../../http/exchange.ts';
import { addressFrom, etagOf } from '../../http/message/address.ts';
import { HttpProblem } from '../../http/message/problem.ts';
import { sendRepresentation } from '../../http/representation.ts';
import type { Endpoint } from '../../http/route.ts';
import type { GatewayContext } from '../context.ts';
import { providerForManifest } from '../provider-for-manifest.ts';
import { SEALED } from '../store.ts';

const OPAQUE = 'application/octet-stream';
/** `type/subtype` and parameters of visible ASCII: what may stand in a header. */
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:\s*;[\x20-\x7e]*)?$/;
const RESERVATION = /^[\x21-\x7e]{1,256}$/;
const FOREVER = 'max-age=31536000, immutable';

const reading = (run: Endpoint<GatewayContext>['run']): Endpoint<GatewayContext> => ({
  scope: 'read',
  load: 'read',
  run,
});

/** `/m/{address}`: the object of a manifest, as the type it was put with. */
export const getByManifest: Endpoint<GatewayContext> = reading((context, exchange, [text]) =>
  serveObject(context, exchange, addressFrom(text), { cache: FOREVER }),
);

/** `/n/{name}`: the object that a name stands for now. */
export const getByName: Endpoint<GatewayContext> = reading((context, exchange, [name = '']) => {
  if (name.startsWith('b3:')) throw new HttpProblem(400, 'BadRequest', 'manifests are read at /m/');
  const { nameMaxAgeSeconds: seconds } = context;
  return serveObject(context, exchange, name, { cache: seconds > 0 ? `max-age=${seconds}` : 'no-cache' });
});

/** `/blob/{address}`: the object as bytes of no type, so that no browser takes it for a page. */
export const fetchBlob: Endpoint<GatewayContext> = reading((context, exchange, [text]) =>
  serveObject(context, exchange, addressFrom(text), { cache: FOREVER, contentType: OPAQUE }),
);

/** `/wasm/{address}`: the object as a WebAssembly module, whatever type it was put with. */
export const fetchWasm: Endpoint<GatewayContext> = reading((context, exchange, [text]) =>
  serveObject(context, exchange, addressFrom(text), { cache: FOREVER, contentType: 'application/wasm' }),
);

/** What anonymous readers get may be kept by shared caches; what a token was needed for may not. */
export const cacheControl = (exchange: Exchange, rest: string): string =>
  `${exchange.principal.authenticated ? 'private' : 'public'}, ${rest}`;

async function serveObject(
  context: GatewayContext,
  exchange: Exchange,
  reference: string,
  options: { readonly cache: string; readonly contentType?: string },
): Promise<void> {
  const { store, clock, limits, slowReaders } = context;
  if (store.sealed) context.metrics.readDenied(SEALED);
  const object = await store.open(reference, exchange.signal);
  const provider = providerForManifest(reservationKey(exchange), {
    blake3: context.blake3,
    providers: object.providers,
    firstAnswered: store.firstAnswered(),
  });
  const contentType = MEDIA_TYPE.test(object.contentType) ? object.contentType : OPAQUE;
  await sendRepresentation(
    exchange,
    {
      etag: etagOf(object.manifest),
      size: object.size,
      contentType: options.contentType ?? contentType,
      cacheControl: cacheControl(exchange, options.cache),
      headers: provider === undefined ? {} : { 'x-holdfast-provider': provider },
      sandboxed: !context.static,
      read: (range, signal) => slowReaders.watch(exchange, object.read(range, signal)),
    },
    clock,
    limits,
  );
}

/** Who is credited for a read follows the client's reservation, or else the request itself. @throws HttpProblem 400 */
function reservationKey(exchange: Exchange): string {
  const key = exchange.header('x-reservation-key');
  if (key === undefined) return exchange.corrId;
  if (RESERVATION.test(key)) return key;
  throw new HttpProblem(400, 'BadRequest', 'a reservation key is up to 256 visible ASCII characters');
}
