import type { Server } from 'node:http';
import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import { type Admission, createClientCounts } from './admission.ts';
import type { Authenticator, PageRules } from './auth.ts';
import { type Arrival, Exchange, type ExchangePlace } from './exchange.ts';
import type { Route } from './handle.ts';
import { createHandler } from './handle.ts';
import type { HttpLimits } from './limits.ts';
import {
  type BoundAddress,
  bind,
  followTls,
  type Listener,
  planeOf,
  type TlsMaterial,
  type TlsSource,
} from './listener.ts';
import type { ServiceLog } from './log.ts';
import type { Target } from './request.ts';
import { createHttpServer } from './server.ts';
import { createSlowWatch } from './slow-peers.ts';

/** A program that answers HTTP requests, at one place or several. */
export interface Service {
  /** Starts to listen; may be called for several places. @throws HoldfastError `ConfigInvalid` (`listen_failed`, `bad_tls_files`) */
  listen(listener: Listener): Promise<BoundAddress>;
  /** Of the first listener. */
  readonly address: BoundAddress | undefined;
  readonly draining: boolean;
  /** Takes no new connections, ends idle ones, lets requests finish for `drainMs`, then cuts them. Idempotent. */
  drain(): Promise<void>;
  /** Cuts everything now. Idempotent. */
  close(): Promise<void>;
}

interface ServiceOptions<C> {
  readonly routes: readonly Route<C>[];
  readonly context: C;
  readonly limits: HttpLimits;
  readonly admission: Admission;
  readonly pages: PageRules;
  readonly auth: Authenticator;
  readonly metrics: ServiceMetrics;
  readonly log: ServiceLog;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Undefined for what nothing here can be asked for by. */
  parseTarget(target: string): Target | undefined;
}

export function createService<C>(options: ServiceOptions<C>): Service {
  const { clock, limits, log, metrics, admission } = options;
  const nextCorrId = createCorrelationIds(options.random);
  const servers: Server[] = [];
  const addresses: BoundAddress[] = [];
  const clients = createClientCounts(limits.maxClientConnections);
  const fault = (error: unknown): void => {
    try {
      log.event('warn', 'internal_fault', { message: String(error) });
    } catch {
      // A log that fails must not end what it tells of.
    }
  };
  const slow = createSlowWatch(clock, fault);
  const followed: (() => void)[] = [];
  let draining: Promise<void> | undefined;
  const handle = createHandler({ ...options, draining: () => draining !== undefined });

  const closeAll = async (): Promise<void> => {
    await Promise.all(servers.map(closed));
    slow.stop();
    for (const stop of followed) stop();
  };
  const cut = (): void => {
    for (const server of servers) server.closeAllConnections();
  };
  const drain = async (): Promise<void> => {
    log.event('info', 'draining', { inflight: admission.inflight });
    const done = new AbortController();
    const deadline = clock.sleep(limits.drainMs, done.signal).then(cut, () => {});
    await closeAll();
    done.abort();
    await deadline;
    log.event('info', 'drained', {});
  };

  const follow = async (
    source: TlsSource | undefined,
    renew: (material: TlsMaterial) => void,
  ): Promise<TlsMaterial | undefined> => {
    if (source === undefined) return undefined;
    const { current, stop } = await followTls(source, clock, (outcome) => {
      if ('error' in outcome)
        return log.event('warn', 'tls_files_refused', { message: outcome.error.message });
      renew(outcome.value);
      log.event('info', 'tls_files_read', {});
    });
    followed.push(stop);
    return current();
  };

  const exchangeOf = (arrival: Arrival, place: ExchangePlace): Exchange => {
    const given = arrival.request.headers['x-corr-id'];
    const corrId = nextCorrId(typeof given === 'string' ? given : undefined);
    return new Exchange(arrival, place, corrId, clock.monotonic());
  };

  return {
    get address() {
      return addresses[0];
    },
    get draining() {
      return draining !== undefined;
    },
    async listen(listener) {
      if (draining !== undefined) throw new HoldfastError('Unavailable', 'the service has been stopped');
      const place = { plane: planeOf(listener), slow, clock, fault };
      const tls =
        listener.kind === 'tcp' ? await follow(listener.tls, (fresh) => renewTls(fresh)) : undefined;
      const { server, renewTls } = createHttpServer(
        limits,
        { kind: listener.kind, tls },
        {
          corrId: () => nextCorrId(undefined),
          onRefused: (reason) => metrics.rejected(reason),
          onConnection: ({ client }) => (listener.kind === 'unix' ? () => {} : clients.enter(client)),
          onRequest(arrival) {
            const exchange = exchangeOf(arrival, place);
            // A connection kept alive is idle from here on, and nothing else would end it before its time.
            exchange.atEnd(() => {
              if (draining !== undefined) setImmediate(() => server.closeIdleConnections());
            });
            void handle(exchange);
            return exchange;
          },
        },
      );
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

/** Resolves when the last connection has ended. */
function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}

const GIVEN = /^[A-Za-z0-9._:-]{1,128}$/;

/** Names of requests: the client's own if it is harmless in a log, else one that is unique among all nodes. */
function createCorrelationIds(random: RandomBytes): (given: string | undefined) => string {
  const prefix = toHex(random(8));
  let count = 0;
  return (given) =>
    given !== undefined && GIVEN.test(given) ? given : `${prefix}-${(count++).toString(36)}`;
}
