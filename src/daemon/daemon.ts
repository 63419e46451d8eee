import type { Clock } from '../core/clock.ts';
import type { RandomBytes } from '../core/random.ts';
import { type ExplorerContext, explorerRoutes } from '../explorer/routes.ts';
import type { ExplorerSource, StoragePolicy } from '../explorer/source.ts';
import { createAdmission, READ_DENIALS, REJECTIONS } from '../http/admission.ts';
import type { Authenticator } from '../http/auth.ts';
import { type ControlContext, controlRoutes, type Exposition } from '../http/control.ts';
import { type Outlook, type ReadinessReport, readinessOf, vaultGates } from '../http/gates.ts';
import type { Route } from '../http/handle.ts';
import { DEFAULT_HTTP_LIMITS, type HttpLimits } from '../http/limits.ts';
import type { ServiceLog } from '../http/log.ts';
import { parseTarget } from '../http/request.ts';
import { createService, type Service } from '../http/service.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import type { LoopReport, Loops } from './loops.ts';

export interface DaemonOptions {
  readonly loops: Loops;
  readonly outlook: () => Promise<Outlook>;
  readonly explorer: ExplorerSource;
  readonly policy: StoragePolicy;
  readonly sealed: boolean;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly auth: Authenticator;
  readonly metrics: ServiceMetrics;
  /** The text of `/metrics`. */
  readonly exposition: Exposition;
  readonly log: ServiceLog;
  /** The program's version, for `/version`. */
  readonly version: string;
  readonly limits?: Partial<HttpLimits> | undefined;
  /** See `PageRules`. */
  readonly allowedHosts?: readonly string[] | undefined;
}

/** Who asks wants to know how it is, and little else. */
const DEFAULT_LIMITS: HttpLimits = { ...DEFAULT_HTTP_LIMITS, maxInflight: 64 };

/** A loop that failed so often in a row is a gate that is shut. */
const FAILING_AFTER = 3;

/** What a daemon shows of itself over HTTP: whether it lives, what it can do, and its figures. See docs/daemon.md. */
export function createDaemon(options: DaemonOptions): Service {
  const { clock, loops, metrics, outlook, sealed, version } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  metrics.declare({
    routes: ROUTES.map(({ pattern }) => pattern),
    rejections: REJECTIONS,
    readDenials: READ_DENIALS,
    integrity: [],
  });
  const context: DaemonContext = {
    explorer: options.explorer,
    policy: options.policy,
    clock,
    limits,
    servesPage: true,
    exposition: options.exposition,
    metrics,
    readiness: { report: async () => readiness(await outlook(), loops.report(), service.draining) },
    version: { name: 'holdfast-daemon', version, sealed },
  };
  const service = createService({
    ...options,
    routes: ROUTES,
    context,
    limits,
    admission: createAdmission(limits, { clock, metrics }),
    pages: { allowedHosts: options.allowedHosts ?? [], publicReads: false },
    parseTarget,
  });
  return service;
}

interface DaemonContext extends ControlContext, ExplorerContext {}

interface DaemonReadiness extends ReadinessReport {
  readonly loops: readonly LoopReport[];
}

/** Work can be done when objects can be read and what is rebuilt can be stored; and none of it fails each time. */
function readiness(outlook: Outlook, loops: readonly LoopReport[], draining: boolean): DaemonReadiness {
  const loopFailing = loops.some(({ failures, state }) => failures >= FAILING_AFTER || state === 'stuck');
  return { ...readinessOf(vaultGates(outlook, { draining, loopFailing })), loops };
}

const ROUTES: readonly Route<DaemonContext>[] = [
  ...explorerRoutes,
  ...controlRoutes<DaemonContext>({
    takesWrites: true,
    // They name the providers.
    strangerScope: 'admin',
  }),
];
