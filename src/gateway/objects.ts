import type { Exchange } from '../http/exchange.ts';
import type { Endpoint } from '../http/handle.ts';
import { HttpProblem } from '../http/problem.ts';
import { sendRepresentation } from '../http/representation.ts';
import { addressFrom, etagOf } from '../http/request.ts';
import type { ByteRange } from '../http/selection.ts';
import type { GatewayContext } from './context.ts';
import { providerForManifest, type ReadKind } from './credit.ts';
import { SEALED, type StoredObject } from './store.ts';

const OPAQUE = 'application/octet-stream';
/** `type/subtype` and parameters of visible ASCII: what a header may hold. */
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:\s*;[\x20-\x7e]*)?$/;
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
  if (name.startsWith('b3:')) throw new HttpProblem(400, 'BadRequest', 'read a manifest at /m/');
  const { nameMaxAgeSeconds: seconds } = context;
  return serveObject(context, exchange, name, { cache: seconds > 0 ? `max-age=${seconds}` : 'no-cache' });
});

/** `/blob/{address}`: the object as bytes without a type, so that no browser takes it for a page. */
export const fetchBlob: Endpoint<GatewayContext> = reading((context, exchange, [text]) =>
  serveObject(context, exchange, addressFrom(text), { cache: FOREVER, contentType: OPAQUE, kind: 'blob' }),
);

/** `/wasm/{address}`: the object as a WebAssembly module, whatever type it was put with. */
export const fetchWasm: Endpoint<GatewayContext> = reading((context, exchange, [text]) =>
  serveObject(context, exchange, addressFrom(text), {
    cache: FOREVER,
    contentType: 'application/wasm',
    kind: 'wasm',
  }),
);

/** Versions of a name that one request follows, each of them replaced while it was being opened. */
const MAX_FOLLOWED = 16;

/** Shared caches may keep what anonymous readers get, but not what needed a token. */
const cacheControl = (exchange: Exchange, rest: string): string =>
  `${exchange.principal.authenticated ? 'private' : 'public'}, ${rest}`;

interface ServeOptions {
  readonly cache: string;
  /** Whatever type it was put with. */
  readonly contentType?: string;
  /** Default: `manifest`. */
  readonly kind?: ReadKind;
}

async function serveObject(
  context: GatewayContext,
  exchange: Exchange,
  reference: string,
  options: ServeOptions,
): Promise<void> {
  const { store } = context;
  if (store.sealed) {
    context.metrics.readDenied(SEALED);
    context.receipts?.denied(exchange, SEALED);
  }
  let object = await store.open(reference, exchange.signal);
  for (let followed = 1; ; followed++) {
    try {
      return await sendObject(context, exchange, object, options);
    } catch (error) {
      // Before the first byte the version that took its place will do, if there is one.
      if (exchange.response.headersSent || exchange.signal.aborted || followed >= MAX_FOLLOWED) throw error;
      const current = await store.open(reference, exchange.signal).catch(() => object);
      if (current.manifest === object.manifest) throw error;
      object = current;
    }
  }
}

async function sendObject(
  context: GatewayContext,
  exchange: Exchange,
  object: StoredObject,
  options: ServeOptions,
): Promise<void> {
  const { store, clock, limits, overrides, receipts, slowReaders } = context;
  const provider = providerForManifest(object, context.reservationKey(exchange.peer.client), {
    overrides,
    kind: options.kind,
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
      begin: receipts && ((length) => receipts.begin(exchange, object, provider ?? '', length)),
      read: (range, signal) => slowReaders.watch(exchange, object.read(range, signal)),
    },
    clock,
    limits,
  );
}

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
