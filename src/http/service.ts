import type { Server } from 'node:http';
import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import { type Admission, type ClientCounts, createClientCounts } from './admission.ts';
import type { Authenticator, PageRules } from './auth.ts';
import { type Arrival, Exchange, type ExchangePlace } from './exchange.ts';
import { Handler, type Route } from './handle.ts';
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
import { createSlowWatch, type SlowWatch } from './slow-peers.ts';

/** A program that answers HTTP requests, at one place or several. */
export interface Service {
  /**
   * Starts to listen. May be called for several places.
   * @throws HoldfastError `ConfigInvalid` (`listen_failed`, `bad_tls_files`)
   */
  listen(listener: Listener): Promise<BoundAddress>;
  /** The address of the first listener. */
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
  /** Parses a request target. Undefined: it names nothing that this service could have. */
  parseTarget(target: string): Target | undefined;
  /** Told of a read that was denied, and why, as the metrics say it. Never throws. */
  onReadDenied?: ((exchange: Exchange, reason: string) => void) | undefined;
}

export const createService = <C>(options: ServiceOptions<C>): Service => new HttpService(options);

class HttpService<C> implements Service {
  readonly #options: ServiceOptions<C>;
  readonly #nextCorrId: (given: string | undefined) => string;
  readonly #clients: ClientCounts;
  readonly #slow: SlowWatch;
  readonly #handler: Handler<C>;
  readonly #servers: Server[] = [];
  readonly #addresses: BoundAddress[] = [];
  /** Ends the following of certificate files. */
  readonly #stops: (() => void)[] = [];
  #draining: Promise<void> | undefined;

  constructor(options: ServiceOptions<C>) {
    this.#options = options;
    this.#nextCorrId = createCorrelationIds(options.random);
    this.#clients = createClientCounts(options.limits.maxClientConnections);
    this.#slow = createSlowWatch(options.clock, this.#fault);
    this.#handler = new Handler({ ...options, draining: () => this.draining });
  }

  get address(): BoundAddress | undefined {
    return this.#addresses[0];
  }

  get draining(): boolean {
    return this.#draining !== undefined;
  }

  async listen(listener: Listener): Promise<BoundAddress> {
    if (this.draining) throw new HoldfastError('Unavailable', 'the service has been stopped');
    const { clock, limits, log, metrics } = this.#options;
    const place = { plane: planeOf(listener), slow: this.#slow, clock, fault: this.#fault };
    const source = listener.kind === 'tcp' ? listener.tls : undefined;
    const tls = await this.#follow(source, (fresh) => renewTls(fresh));
    const { server, renewTls } = createHttpServer(
      limits,
      { kind: listener.kind, tls },
      {
        corrId: () => this.#nextCorrId(undefined),
        onRefused: (reason) => metrics.rejected(reason),
        onConnection: ({ client }) => (listener.kind === 'unix' ? () => {} : this.#clients.enter(client)),
        onRequest: (arrival) => this.#begin(arrival, place, server),
      },
    );
    const address = await bind(server, listener);
    this.#servers.push(server);
    this.#addresses.push(address);
    log.event('info', 'listening', { ...address });
    return address;
  }

  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  async close(): Promise<void> {
    const closing = this.#draining ?? this.#closeAll();
    this.#draining ??= closing;
    this.#cut();
    await closing;
  }

  #begin(arrival: Arrival, place: ExchangePlace, server: Server): Exchange {
    const given = arrival.request.headers['x-corr-id'];
    const corrId = this.#nextCorrId(typeof given === 'string' ? given : undefined);
    const exchange = new Exchange(arrival, place, corrId, this.#options.clock.monotonic());
    // A connection kept alive is idle from here on, and nothing else would end it before its time.
    exchange.atEnd(() => {
      if (this.draining) setImmediate(() => server.closeIdleConnections());
    });
    void this.#handler.handle(exchange);
    return exchange;
  }

  async #follow(
    source: TlsSource | undefined,
    renew: (material: TlsMaterial) => void,
  ): Promise<TlsMaterial | undefined> {
    if (source === undefined) return undefined;
    const { clock, log } = this.#options;
    const { current, stop } = await followTls(source, clock, (outcome) => {
      if ('error' in outcome)
        return log.event('warn', 'tls_files_refused', { message: outcome.error.message });
      renew(outcome.value);
      log.event('info', 'tls_files_read', {});
    });
    this.#stops.push(stop);
    return current();
  }

  async #drain(): Promise<void> {
    const { admission, clock, limits, log } = this.#options;
    log.event('info', 'draining', { inflight: admission.inflight });
    const done = new AbortController();
    const deadline = clock.sleep(limits.drainMs, done.signal).then(
      () => this.#cut(),
      () => {},
    );
    await this.#closeAll();
    done.abort();
    await deadline;
    log.event('info', 'drained', {});
  }

  async #closeAll(): Promise<void> {
    await Promise.all(this.#servers.map(closed));
    this.#slow.stop();
    for (const stop of this.#stops) stop();
  }

  #cut(): void {
    for (const server of this.#servers) server.closeAllConnections();
  }

  readonly #fault = (error: unknown): void => {
    try {
      this.#options.log.event('warn', 'internal_fault', { message: String(error) });
    } catch {
      // A log that fails must not end what it tells of.
    }
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

/** Names requests: by the client's own name if that is harmless in a log, else by one that is unique among all services. */
function createCorrelationIds(random: RandomBytes): (given: string | undefined) => string {
  const prefix = toHex(random(8));
  let count = 0;
  return (given) =>
    given !== undefined && GIVEN.test(given) ? given : `${prefix}-${(count++).toString(36)}`;
}
