import type { Clock } from '../core/clock.ts';
import type { Authenticator } from './auth/principal.ts';
import { requireScope } from './auth/tokens.ts';
import type { Endpoint, NodeContext, Route } from './context.ts';
import type { Exchange } from './exchange.ts';
import { badRequest, HttpProblem, problemOf } from './http/problem.ts';
import { sendProblem } from './http/respond.ts';
import { checkStrict } from './http/strict.ts';
import { parseTarget } from './http/target.ts';
import type { NodeLog } from './log.ts';
import { ROUTES } from './routes/index.ts';

export interface HandlerOptions {
  readonly context: NodeContext;
  readonly auth: Authenticator;
  readonly log: NodeLog;
  readonly clock: Clock;
  draining(): boolean;
}

/** Serves one request; resolves when its work is done. Never rejects. */
export type Handler = (exchange: Exchange) => Promise<void>;

export function createHandler({ context, auth, log, clock, draining }: HandlerOptions): Handler {
  const { metrics, admission } = context;

  const serve = async (exchange: Exchange): Promise<void> => {
    checkStrict(exchange.request);
    exchange.target = parseTarget(exchange.request.url ?? '');
    if (exchange.target === undefined) throw badRequest('no such path can be asked for here');
    const [endpoint, params] = find(exchange, exchange.target.path);
    const leave = admission.enter(endpoint.load, exchange.client);
    exchange.response.once('close', leave);
    exchange.principal = auth.authenticate(exchange.header('authorization'), exchange.plane);
    if (endpoint.scope !== undefined) requireScope(exchange.principal, endpoint.scope);
    if (!endpoint.takesBody && hasBody(exchange)) throw badRequest('this request takes no body');
    await endpoint.run(context, exchange, params);
  };

  const finished = (exchange: Exchange): void => {
    const { request, response, route } = exchange;
    const ms = clock.monotonic() - exchange.startMs;
    const whole = response.writableFinished;
    metrics.request(route, response.statusCode, ms / 1000);
    if (exchange.bytesIn > 0) metrics.bytesIn(exchange.bytesIn);
    if (exchange.bytesOut > 0) metrics.bytesOut(exchange.bytesOut);
    log.access({
      time: new Date(clock.now()).toISOString(),
      corr_id: exchange.corrId,
      client: request.socket.remoteAddress ?? 'local',
      principal: exchange.principal.name,
      method: request.method ?? '',
      // Escaped once more: a log line must stay one line.
      target: encodeURI(request.url ?? '').slice(0, 512),
      route,
      status: response.statusCode,
      bytes_in: exchange.bytesIn,
      bytes_out: exchange.bytesOut,
      ms: Math.round(1000 * ms) / 1000,
      ...(whole ? {} : { cut: true }),
    });
  };

  return async (exchange) => {
    const { response } = exchange;
    response.once('close', () => finished(exchange));
    response.setHeader('x-corr-id', exchange.corrId);
    if (draining()) response.setHeader('connection', 'close');
    try {
      await serve(exchange);
    } catch (error) {
      const problem = problemOf(error);
      if (problem.status >= 500 && !exchange.response.destroyed) {
        log.event('warn', 'request_failed', { corr_id: exchange.corrId, ...describe(problem) });
      }
      if (problem.status === 401) metrics.rejected('unauthorized');
      sendProblem(exchange, problem);
    }
  };
}

/** @throws HttpProblem 404 or 405 */
function find(exchange: Exchange, path: string): [Endpoint, readonly string[]] {
  for (const route of ROUTES) {
    const params = route.match(path);
    if (params === undefined) continue;
    exchange.route = route.pattern;
    const { method = '' } = exchange.request;
    if (Object.hasOwn(route.methods, method)) return [route.methods[method]!, params];
    throw notAllowed(route, method);
  }
  throw new HttpProblem(404, 'NotFound', 'there is nothing at this path');
}

function notAllowed(route: Route, method: string): HttpProblem {
  return new HttpProblem(405, 'MethodNotAllowed', `${method} is not possible here`, {
    headers: { allow: Object.keys(route.methods).join(', ') },
  });
}

function hasBody({ request: { headers } }: Exchange): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function describe({ status, problem, message, cause }: HttpProblem): Record<string, unknown> {
  const inner = cause instanceof Error ? { cause: String(cause.cause ?? cause) } : {};
  return { status, error: problem, message, ...inner };
}
