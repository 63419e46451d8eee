import type { Blake3 } from '../core/b3/blake3.ts';
import { concatBytes, toHex, utf8Encode } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import type { RandomBytes } from '../core/random.ts';
import { explorerRoutes } from '../explorer/routes.ts';
import type { ExplorerSource, StoragePolicy } from '../explorer/source.ts';
import { createAdmission, READ_DENIALS, REJECTIONS } from '../http/admission.ts';
import type { Authenticator } from '../http/auth.ts';
import { controlRoutes, type Exposition } from '../http/control.ts';
import { readinessOf, vaultGates } from '../http/gates.ts';
import { at, oneAfter, type Route, readable } from '../http/handle.ts';
import { DEFAULT_HTTP_LIMITS, type HttpLimits } from '../http/limits.ts';
import type { ServiceLog } from '../http/log.ts';
import { MAX_TARGET_LENGTH, parseTarget, type Target } from '../http/request.ts';
import { createService, type Service } from '../http/service.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import { takeAcks } from './acks.ts';
import type { GatewayContext } from './context.ts';
import type { ProviderOverrides } from './credit.ts';
import { rpc } from './explorer.ts';
import { mover } from './move-calls.ts';
import {
  fetchBlob,
  fetchWasm,
  getByManifest,
  getByName,
  getManifestBlock,
  getStoredBlob,
} from './objects.ts';
import { listReceipts, proveOne } from './receipt-pages.ts';
import type { ReadReceipts } from './receipts.ts';
import { repairChunk, repairRun } from './repair-calls.ts';
import { createSlowReaders } from './slow-readers.ts';
import { type Moves, type ObjectStore, type Repairs, SEALED, SHARD_IS_WRONG } from './store.ts';

export interface GatewayOptions {
  readonly store: ObjectStore;
  readonly explorer: ExplorerSource;
  readonly repairs: Repairs;
  readonly moves: Moves;
  readonly blake3: Blake3;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly auth: Authenticator;
  readonly metrics: ServiceMetrics;
  /** The text of `/metrics`. */
  readonly exposition: Exposition;
  readonly log: ServiceLog;
  readonly policy: StoragePolicy;
  /** The program's version, for `/version`. */
  readonly version: string;
  readonly limits?: Partial<HttpLimits> | undefined;
  readonly nameMaxAgeSeconds?: number | undefined;
  /** Everyone may read, from any page. */
  readonly publicReads?: boolean | undefined;
  /** See `PageRules`. */
  readonly allowedHosts?: readonly string[] | undefined;
  /** The gateway serves a site from an origin of its own, and pages may run scripts. */
  readonly static?: boolean | undefined;
  /** Says for single objects who is credited. */
  readonly overrides?: ProviderOverrides | undefined;
  /** Undefined: none are kept. */
  readonly receipts?: ReadReceipts | undefined;
}

/** Fewer requests than a node takes: every read here may decode chunks. */
const DEFAULT_LIMITS: HttpLimits = { ...DEFAULT_HTTP_LIMITS, maxInflight: 256 };

/** A read gateway: objects of a vault over HTTP. See docs/gateway.md and docs/api/gateway.openapi.yaml. */
export function createGateway(options: GatewayOptions): Service {
  const { store, blake3, clock, metrics, receipts } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  metrics.declare({
    routes: ROUTES.map(({ pattern }) => pattern),
    rejections: REJECTIONS,
    readDenials: [...READ_DENIALS, SEALED],
    integrity: [SHARD_IS_WRONG],
  });
  const context: GatewayContext = {
    store,
    explorer: options.explorer,
    // Whoever may put objects has this origin then.
    servesPage: options.static !== true,
    repairs: options.repairs,
    moves: options.moves,
    clock,
    limits,
    slowReaders: createSlowReaders(clock),
    metrics,
    policy: options.policy,
    exposition: options.exposition,
    nameMaxAgeSeconds: options.nameMaxAgeSeconds ?? 0,
    static: options.static ?? false,
    readiness: {
      report: async () => readinessOf(vaultGates(await store.outlook(), { draining: service.draining })),
    },
    overrides: options.overrides,
    receipts,
    reservationKey: receipts
      ? (client) => receipts.reservationKey(client)
      : ownReservationKeys(blake3, options.random),
    version: {
      name: 'holdfast-gateway',
      version: options.version,
      blake3: blake3.name,
      sealed: store.sealed,
    },
  };
  const service = createService({
    ...options,
    routes: ROUTES,
    context,
    limits,
    admission: createAdmission(limits, { clock, metrics }),
    pages: { allowedHosts: options.allowedHosts ?? [], publicReads: options.publicReads ?? false },
    parseTarget: parseGatewayTarget,
    onReadDenied: receipts && ((exchange, reason) => receipts.denied(exchange, reason)),
  });
  return service;
}

/** Of this process: what a client cannot know beforehand. */
function ownReservationKeys(blake3: Blake3, random: RandomBytes): (client: string) => string {
  const secret = random(32);
  return (client) => toHex(blake3.hash(concatBytes(secret, utf8Encode(client))));
}

const NAMES = '/n/';
/** Names have up to 1024 bytes, each of which may be escaped. */
const MAX_NAME_TARGET = 3 * 1024 + NAMES.length;
const ABSOLUTE = /^https?:\/\/[^/?#]*(?=\/)/i;
/** RFC 3986 `pchar` and slashes. */
const ESCAPED = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})+$/;
const NO_QUERY = new URLSearchParams();

/**
 * Parses as `parseTarget` does, and takes `/n/…` too, where the rest is a name, percent-decoded once. Segments of a name
 * are never empty, `.` or `..`: proxies rewrite those, so they would mean different names to different readers.
 * @internal Tests give it any target.
 */
export function parseGatewayTarget(target: string): Target | undefined {
  const origin = target.startsWith('/') ? target : target.replace(ABSOLUTE, '');
  if (!origin.startsWith(NAMES)) return target.length > MAX_TARGET_LENGTH ? undefined : parseTarget(target);
  if (origin.length > MAX_NAME_TARGET) return undefined;
  const name = decodeName(origin.slice(NAMES.length));
  return name === undefined ? undefined : { path: NAMES + name, query: NO_QUERY };
}

function decodeName(escaped: string): string | undefined {
  if (!ESCAPED.test(escaped)) return undefined;
  try {
    const segments = escaped.split('/').map(decodeURIComponent);
    const odd = segments.some((segment) => segment === '' || segment === '.' || segment === '..');
    return odd ? undefined : segments.join('/');
  } catch {
    return undefined; // escapes that are not UTF-8
  }
}

/**
 * The name in a decoded path.
 * @internal Tests give it any target.
 */
export const nameIn = (path: string): readonly string[] | undefined =>
  path.startsWith(NAMES) && path.length > NAMES.length ? [path.slice(NAMES.length)] : undefined;

/**
 * Every path of a gateway.
 * @internal Tests compare them with the document of the API.
 */
export const ROUTES: readonly Route<GatewayContext>[] = [
  { pattern: '/m/{address}', match: oneAfter('/m/'), methods: readable(getByManifest) },
  { pattern: '/n/{name}', match: nameIn, methods: readable(getByName) },
  { pattern: '/blob/{address}', match: oneAfter('/blob/'), methods: readable(fetchBlob) },
  { pattern: '/wasm/{address}', match: oneAfter('/wasm/'), methods: readable(fetchWasm) },
  { pattern: '/manifests/{address}', match: oneAfter('/manifests/'), methods: readable(getManifestBlock) },
  { pattern: '/o/{address}', match: oneAfter('/o/'), methods: readable(getStoredBlob) },
  ...explorerRoutes,
  at('/storage/repair-run', { POST: repairRun }),
  at('/storage/repair-chunk', { POST: repairChunk }),
  at('/storage/evacuate', { POST: mover('evacuate') }),
  at('/storage/replace', { POST: mover('replace') }),
  at('/storage/rebalance', { POST: mover('rebalance') }),
  at('/storage/recode', { POST: mover('recode') }),
  at('/receipts/acks', { POST: takeAcks }),
  at('/storage/receipts', readable(listReceipts)),
  at('/storage/receipts/proof', readable(proveOne)),
  at('/rpc', { POST: rpc }),
  // They name the providers.
  ...controlRoutes<GatewayContext>({ takesWrites: false, strangerScope: 'admin' }),
];
