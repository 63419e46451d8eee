import type { Blake3 } from '../core/b3/blake3.ts';
import type { Clock } from '../core/clock.ts';
import type { RandomBytes } from '../core/random.ts';
import { createAdmission } from '../http/admission/admission.ts';
import type { Authenticator } from '../http/auth/principal.ts';
import type { Exposition, ReadinessReport } from '../http/control.ts';
import { DEFAULT_HTTP_LIMITS, type HttpLimits } from '../http/limits.ts';
import type { ServiceLog } from '../http/log.ts';
import { READ_DENIALS, REJECTIONS } from '../http/rejections.ts';
import { createService, type Service } from '../http/service.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import type { GatewayContext, StoragePolicy } from './context.ts';
import { ROUTES } from './routes/index.ts';
import { createSlowReaders } from './slow-readers.ts';
import { type ObjectStore, SEALED, SHARD_IS_WRONG } from './store.ts';
import { parseGatewayTarget } from './target.ts';

export interface GatewayOptions {
  readonly store: ObjectStore;
  readonly blake3: Blake3;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly auth: Authenticator;
  readonly metrics: ServiceMetrics;
  /** What `/metrics` shows. */
  readonly exposition: Exposition;
  readonly log: ServiceLog;
  readonly policy: StoragePolicy;
  /** Of the program, for `/version`. */
  readonly version: string;
  readonly limits?: Partial<HttpLimits> | undefined;
  readonly nameMaxAgeSeconds?: number | undefined;
  /** Everyone may read, whatever page they are shown. */
  readonly publicReads?: boolean | undefined;
  /** See `PageRules`. */
  readonly allowedHosts?: readonly string[] | undefined;
  /** It serves a site from an origin of its own: pages may run scripts. */
  readonly static?: boolean | undefined;
}

/** Fewer than a node takes: every read here may decode chunks. */
const DEFAULT_LIMITS: HttpLimits = { ...DEFAULT_HTTP_LIMITS, maxInflight: 256 };

/** A read gateway: objects of a vault over HTTP. See docs/gateway.md and docs/api/gateway.openapi.yaml. */
export function createGateway(options: GatewayOptions): Service {
  const { store, blake3, clock, metrics } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  metrics.declare({
    routes: ROUTES.map(({ pattern }) => pattern),
    rejections: REJECTIONS,
    readDenials: [...READ_DENIALS, SEALED],
    integrity: [SHARD_IS_WRONG],
  });
  const context: GatewayContext = {
    store,
    clock,
    limits,
    slowReaders: createSlowReaders(clock),
    metrics,
    policy: options.policy,
    exposition: options.exposition,
    nameMaxAgeSeconds: options.nameMaxAgeSeconds ?? 0,
    static: options.static ?? false,
    blake3,
    readiness: { report: () => readiness(store, service.draining) },
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
  });
  return service;
}

async function readiness(store: ObjectStore, draining: boolean): Promise<ReadinessReport> {
  const { answering, decodable, storable } = await store.outlook();
  const reasons = draining ? ['draining'] : [];
  if (!answering) reasons.push('providers_unreachable');
  else if (!decodable) reasons.push('undecodable');
  const reads = reasons.length === 0;
  if (answering && !storable) reasons.push('too_few_providers');
  return { reads, writes: reads && storable, reasons };
}
