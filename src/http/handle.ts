import type { Clock } from '../core/clock.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import type { Admission, Load } from './admission.ts';
import { type Authenticator, checkPage, type PageRules, requireScope, type Scope } from './auth.ts';
import type { Exchange } from './exchange.ts';
import type { ServiceLog } from './log.ts';
import { badRequest, HttpProblem, problemOf } from './problem.ts';
import { checkStrict, type Target } from './request.ts';
import { sendProblem } from './respond.ts';

/** What can be done at a path, with a service's own context `C`. `params` are the parts of the path that vary. */
export interface Route<C> {
  readonly pattern: string;
  match(path: string): readonly string[] | undefined;
  readonly methods: Readonly<Record<string, Endpoint<C>>>;
}

export interface Endpoint<C> {
  /** Undefined: open to all. */
  readonly scope: Scope | undefined;
  /** The scope that a request without credentials needs, where that is more. */
  readonly strangerScope?: Scope;
  readonly load: Load;
  /** Whether the request may have a body. */
  readonly takesBody?: boolean;
  /** It does nothing in the name of who asks, so a page may ask where it may read. */
  readonly inNobodysName?: boolean;
  run(context: C, exchange: Exchange, params: readonly string[]): Promise<void>;
}

export const readable = <C>(endpoint: Endpoint<C>): Record<'GET' | 'HEAD', Endpoint<C>> => ({
  GET: endpoint,
  HEAD: endpoint,
});

/** A path in which nothing varies. */
export const at = <C>(pattern: string, methods: Route<C>['methods']): Route<C> => ({
  pattern,
  match: (path) => (path === pattern ? [] : undefined),
  methods,
});

/** Matches one segment after `prefix`. */
export const oneAfter =
  (prefix: string): ((path: string) => readonly string[] | undefined) =>
  (path) => {
    if (!path.startsWith(prefix)) return undefined;
    const rest = path.slice(prefix.length);
    return rest === '' || rest.includes('/') ? undefined : [rest];
  };

interface HandlerOptions<C> {
  readonly routes: readonly Route<C>[];
  readonly context: C;
  readonly auth: Authenticator;
  readonly admission: Admission;
  readonly pages: PageRules;
  readonly metrics: ServiceMetrics;
  readonly log: ServiceLog;
  readonly clock: Clock;
  /** Parses a request target. Undefined: it names nothing that this service could have. */
  parseTarget(target: string): Target | undefined;
  draining(): boolean;
  /** Told of a read that was denied, and why, as the metrics say it. Never throws. */
  onReadDenied?: ((exchange: Exchange, reason: string) => void) | undefined;
}

const READING: ReadonlySet<string> = new Set(['GET', 'HEAD']);
/** The status in logs and metrics when the client went before it was told anything. Never sent. */
const GONE_BEFORE_ANSWER = 499;

/** Serves the requests of a service: finds the route, asks who may, lets in, runs, and logs. */
export class Handler<C> {
  readonly #options: HandlerOptions<C>;

  constructor(options: HandlerOptions<C>) {
    this.#options = options;
  }

  /** Serves one request; resolves when its work is done. Never rejects. */
  async handle(exchange: Exchange): Promise<void> {
    exchange.atEnd(() => this.#finished(exchange));
    try {
      exchange.last = this.#options.draining();
      await this.#serve(exchange);
    } catch (error) {
      try {
        this.#answerFailure(exchange, error);
      } catch (failure) {
        // Even the failure could not be answered. This exchange ends; the service goes on.
        exchange.cut = true;
        exchange.response.destroy();
        exchange.fault(failure);
      }
    }
  }

  async #serve(exchange: Exchange): Promise<void> {
    const { admission, context, parseTarget, routes } = this.#options;
    checkStrict(exchange.request);
    exchange.target = parseTarget(exchange.request.url ?? '');
    if (exchange.target === undefined) throw badRequest('this server can have no such path');
    const [endpoint, params] = find(routes, exchange, exchange.target.path);
    if (exchange.excess) throw admission.tooManyWaiting(endpoint.load);
    this.#identify(exchange, endpoint);
    if (!endpoint.takesBody && hasBody(exchange)) throw badRequest('this request takes no body');
    const path = endpoint.load === 'read' && endpoint.scope === 'read' ? exchange.target.path : undefined;
    exchange.leave = admission.enter(endpoint.load, exchange.peer.client, path);
    exchange.atEnd(exchange.leave);
    await endpoint.run(context, exchange, params);
  }

  /** Finds out who asks, and whether they may: before they take a place that others need. */
  #identify(exchange: Exchange, endpoint: Endpoint<C>): void {
    const { admission, auth, metrics, pages } = this.#options;
    const { scope, strangerScope = scope, load, inNobodysName = false } = endpoint;
    const { request, plane, peer } = exchange;
    try {
      const principal = auth.authenticate(exchange.header('authorization'), plane);
      exchange.principal = principal;
      const needed = principal.authenticated ? scope : strangerScope;
      if (needed !== undefined) requireScope(principal, needed);
      const asks = inNobodysName || READING.has(request.method ?? '');
      const reads = asks && (needed === undefined || needed === 'read');
      const open = needed === undefined || auth.open(needed);
      checkPage({ request, plane, principal, reads, open }, pages);
    } catch (error) {
      const { status } = problemOf(error);
      if (status === 401) admission.countRefused(load, peer.client);
      if (load === 'read') {
        const reason = status === 401 ? 'unauthorized' : 'forbidden';
        metrics.readDenied(reason);
        this.#options.onReadDenied?.(exchange, reason);
      }
      throw error;
    }
  }

  #answerFailure(exchange: Exchange, error: unknown): void {
    const { log, metrics } = this.#options;
    const problem = problemOf(error);
    const told = problem.status >= 500 && !problem.shed && !exchange.response.destroyed;
    if (problem.status === 401) metrics.rejected('unauthorized');
    if (problem.denied !== undefined) this.#options.onReadDenied?.(exchange, problem.denied);
    sendProblem(exchange, problem);
    if (told) log.event('warn', 'request_failed', { corr_id: exchange.corrId, ...describe(problem) });
  }

  #finished(exchange: Exchange): void {
    const { clock, log, metrics } = this.#options;
    const { request, response, route } = exchange;
    const ms = clock.monotonic() - exchange.startMs;
    const whole = response.writableFinished && !exchange.cut;
    const status = response.headersSent ? response.statusCode : GONE_BEFORE_ANSWER;
    metrics.request(route, status, ms / 1000);
    if (exchange.bytesIn > 0) metrics.bytesIn(exchange.bytesIn);
    if (exchange.bytesOut > 0) metrics.bytesOut(exchange.bytesOut);
    log.access?.({
      time: new Date(clock.now()).toISOString(),
      corr_id: exchange.corrId,
      client: exchange.peer.address,
      principal: exchange.principal.name,
      method: request.method ?? '',
      // Escaped once more: a log line must stay one line.
      target: encodeURI(request.url ?? '').slice(0, 512),
      route,
      status,
      bytes_in: exchange.bytesIn,
      bytes_out: exchange.bytesOut,
      ms: Math.round(1000 * ms) / 1000,
      ...(whole ? {} : { cut: true }),
    });
  }
}

/** @throws HttpProblem 404 or 405 */
function find<C>(
  routes: readonly Route<C>[],
  exchange: Exchange,
  path: string,
): [Endpoint<C>, readonly string[]] {
  for (const route of routes) {
    const params = route.match(path);
    if (params === undefined) continue;
    exchange.route = route.pattern;
    const { method = '' } = exchange.request;
    if (Object.hasOwn(route.methods, method)) return [route.methods[method]!, params];
    throw new HttpProblem(405, 'MethodNotAllowed', `this path does not take ${method}`, {
      headers: { allow: Object.keys(route.methods).join(', ') },
    });
  }
  throw new HttpProblem(404, 'NotFound', 'there is nothing at this path');
}

function hasBody({ request: { headers } }: Exchange): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function describe({ status, problem, message, cause }: HttpProblem): Record<string, unknown> {
  const inner = cause instanceof Error ? { cause: String(cause.cause ?? cause) } : {};
  return { status, error: problem, message, ...inner };
}
