import type { Blake3 } from '../core/b3/blake3.ts';
import { utf8Encode } from '../core/bytes.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Endpoint } from '../http/handle.ts';
import { HttpProblem } from '../http/problem.ts';
import { sendRepresentation } from '../http/representation.ts';
import { addressFrom, etagOf } from '../http/request.ts';
import type { ByteRange } from '../http/selection.ts';
import type { GatewayContext } from './context.ts';
import { SEALED, type StoredObject } from './store.ts';

const OPAQUE = 'application/octet-stream';
/** `type/subtype` and parameters of visible ASCII: what a header may hold. */
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
  if (name.startsWith('b3:')) throw new HttpProblem(400, 'BadRequest', 'read a manifest at /m/');
  const { nameMaxAgeSeconds: seconds } = context;
  return serveObject(context, exchange, name, { cache: seconds > 0 ? `max-age=${seconds}` : 'no-cache' });
});

/** `/blob/{address}`: the object as bytes without a type, so that no browser takes it for a page. */
export const fetchBlob: Endpoint<GatewayContext> = reading((context, exchange, [text]) =>
  serveObject(context, exchange, addressFrom(text), { cache: FOREVER, contentType: OPAQUE }),
);

/** `/wasm/{address}`: the object as a WebAssembly module, whatever type it was put with. */
export const fetchWasm: Endpoint<GatewayContext> = reading((context, exchange, [text]) =>
  serveObject(context, exchange, addressFrom(text), { cache: FOREVER, contentType: 'application/wasm' }),
);

/** Versions of a name that one request follows, each of them replaced while it was being opened. */
const MAX_FOLLOWED = 16;

/** Shared caches may keep what anonymous readers get, but not what needed a token. */
const cacheControl = (exchange: Exchange, rest: string): string =>
  `${exchange.principal.authenticated ? 'private' : 'public'}, ${rest}`;

async function serveObject(
  context: GatewayContext,
  exchange: Exchange,
  reference: string,
  options: { readonly cache: string; readonly contentType?: string },
): Promise<void> {
  const { store } = context;
  if (store.sealed) context.metrics.readDenied(SEALED);
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
  options: { readonly cache: string; readonly contentType?: string },
): Promise<void> {
  const { store, clock, limits, slowReaders } = context;
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

/** The key that decides who is credited for a read: the client's, or else one of the request. @throws HttpProblem 400 */
function reservationKey(exchange: Exchange): string {
  const key = exchange.header('x-reservation-key');
  if (key === undefined) return exchange.corrId;
  if (RESERVATION.test(key)) return key;
  throw new HttpProblem(400, 'BadRequest', 'a reservation key is up to 256 visible ASCII characters');
}

interface ProviderSources {
  readonly blake3: Blake3;
  /** The manifest's list: in any order, with doubles perhaps, or empty. */
  readonly providers: readonly string[];
  /** The provider that answered first, for a manifest that lists none. */
  readonly firstAnswered: string | undefined;
}

/**
 * The provider that a read is credited to: the same for the same key and the same set of providers, spread evenly
 * over keys. The list is normalised first: trimmed, without blanks and doubles, in the order of code units.
 * @returns undefined when there is none to be named.
 * @internal Tests pin what it chooses.
 */
export function providerForManifest(
  reservationKey: string,
  { blake3, providers, firstAnswered }: ProviderSources,
): string | undefined {
  const ids = normalise(providers);
  if (ids.length === 0) return firstAnswered;
  const digest = blake3.hash(utf8Encode(reservationKey));
  const hash = new DataView(digest.buffer, digest.byteOffset).getBigUint64(0, true);
  return ids[Number(hash % BigInt(ids.length))];
}

function normalise(providers: readonly string[]): string[] {
  const ids = providers.map((id) => id.trim()).filter((id) => id !== '');
  return [...new Set(ids)].sort();
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
