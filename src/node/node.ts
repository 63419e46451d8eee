import type { Server } from 'node:http';
import type { Blake3 } from '../core/b3/blake3.ts';
import type { Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import type { BlobAdapter } from '../providers/adapter.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import { createAdmission } from './admission/admission.ts';
import type { Authenticator } from './auth/principal.ts';
import type { Exposition, Inflaters, NodeContext } from './context.ts';
import { createCorrelationIds } from './correlation.ts';
import { Exchange } from './exchange.ts';
import { createHandler } from './handle.ts';
import { DEFAULT_LIMITS, type NodeLimits } from './limits.ts';
import { type BoundAddress, bind, isPrivate, type Listener } from './listener.ts';
import type { NodeLog } from './log.ts';
import { createReadiness } from './readiness.ts';
import { createHttpServer } from './server.ts';
import { createVerifiedReader } from './verified/reader.ts';

export interface NodeOptions {
  /** Closed by its owner, after the node. */
  readonly adapter: BlobAdapter;
  readonly blake3: Blake3;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly auth: Authenticator;
  readonly metrics: ServiceMetrics;
  /** What `/metrics` shows. */
  readonly exposition: Exposition;
  readonly inflaters: Inflaters;
  readonly log: NodeLog;
  /** Of the program, for `/version`. */
  readonly version: string;
  readonly limits?: Partial<NodeLimits> | undefined;
  /** Promise that nothing outlives the process: an adapter that is durable is refused. */
  readonly amnesia?: boolean | undefined;
}

/** A storage node: one adapter served over HTTP. See docs/node.md and docs/api/node.openapi.yaml. */
export interface StorageNode {
  /** Starts to listen; may be called for several places. @throws HoldfastError `ConfigInvalid` (`listen_failed`) */
  listen(listener: Listener): Promise<BoundAddress>;
  /** Of the first listener. */
  readonly address: BoundAddress | undefined;
  /** Takes no new connections, ends idle ones, lets requests finish for `drainMs`, then cuts them. Idempotent. */
  drain(): Promise<void>;
  /** Cuts everything now. Idempotent. */
  close(): Promise<void>;
}

/** @throws HoldfastError `ConfigInvalid` (`amnesia_refused`) */
export function createNode(options: NodeOptions): StorageNode {
  const { adapter, clock, random, metrics, log } = options;
  const amnesia = options.amnesia ?? false;
  if (amnesia && adapter.capabilities.durable) throw amnesiaRefused(adapter.adapterId);
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const nextCorrId = createCorrelationIds(random);
  const servers: Server[] = [];
  const addresses: BoundAddress[] = [];
  let draining: Promise<void> | undefined;

  const context = contextOf(options, limits, () => draining !== undefined);
  const handle = createHandler({
    context,
    auth: options.auth,
    log,
    clock,
    draining: () => draining !== undefined,
  });

  const closeAll = async (): Promise<void> => {
    await Promise.all(servers.map(closed));
  };
  const cut = (): void => {
    for (const server of servers) server.closeAllConnections();
  };

  const drain = async (): Promise<void> => {
    log.event('info', 'draining', { inflight: context.admission.inflight });
    const done = new AbortController();
    const deadline = clock.sleep(limits.drainMs, done.signal).then(cut, () => {});
    await closeAll();
    done.abort();
    await deadline;
    log.event('info', 'drained', {});
  };

  return {
    get address() {
      return addresses[0];
    },
    async listen(listener) {
      if (draining !== undefined) throw new HoldfastError('Unavailable', 'the node has been stopped');
      const plane = { private: isPrivate(listener) };
      const tls = listener.kind === 'tcp' ? listener.tls : undefined;
      const server = createHttpServer(limits, tls, {
        corrId: () => nextCorrId(undefined),
        onRefused: (reason) => metrics.rejected(reason),
        onRequest(request, response, expectsContinue) {
          const given = request.headers['x-corr-id'];
          const corrId = nextCorrId(typeof given === 'string' ? given : undefined);
          const startMs = clock.monotonic();
          // A connection kept alive is idle from here on, and nothing else would end it before its time.
          response.once('close', () => {
            if (draining !== undefined) setImmediate(() => server.closeIdleConnections());
          });
          const exchange = new Exchange(request, response, { plane, corrId, startMs, expectsContinue });
          void handle(exchange);
          return exchange;
        },
      });
      const address = await bind(server, listener);
      servers.push(server);
      addresses.push(address);
      log.event('info', 'listening', { ...address });
      return address;
    },
    drain() {
      draining ??= drain();
      return draining;
    },
    async close() {
      const closing = draining ?? closeAll();
      draining ??= closing;
      cut();
      await closing;
    },
  };
}

function contextOf(options: NodeOptions, limits: NodeLimits, draining: () => boolean): NodeContext {
  const { adapter, blake3, clock, metrics, exposition, inflaters } = options;
  const admission = createAdmission(limits, { clock, metrics });
  const hot = { maxBytes: limits.hotBytes, maxBlobBytes: limits.hotBlobBytes };
  return {
    adapter,
    blake3,
    clock,
    limits,
    metrics,
    exposition,
    inflaters,
    admission,
    reader: createVerifiedReader({ adapter, blake3, metrics, hot, proofBytes: limits.proofBytes }),
    readiness: createReadiness({
      adapter,
      clock,
      minFreeBytes: limits.minFreeBytes,
      takesWrites: () => admission.takesWrites(),
      draining,
    }),
    version: {
      name: 'holdfast-node',
      version: options.version,
      adapter: adapter.adapterId,
      blake3: blake3.name,
      amnesia: options.amnesia ?? false,
    },
  };
}

/** Resolves when the last connection has ended. */
function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}

function amnesiaRefused(adapterId: string): HoldfastError {
  return new HoldfastError('ConfigInvalid', `an amnesiac node keeps nothing, and ${adapterId} does`, {
    code: 'amnesia_refused',
    hint: 'Use the memory adapter, or leave amnesia mode.',
  });
}
