import type { Server } from 'node:http';
import { createServer, type IncomingMessage, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Exchange } from './exchange.ts';
import type { HttpLimits } from './limits.ts';
import { type TlsMaterial, tlsOptions } from './tls.ts';

export interface ServerHooks {
  onRequest(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): Exchange;
  /** @param reason stable, for metrics. */
  onRefused(reason: string): void;
  corrId(): string;
}

export interface HttpServer {
  readonly server: Server;
  /** For connections from now on. */
  renewTls(material: TlsMaterial): void;
}

/** How often Node looks for requests that are overdue. */
const CHECK_MS = 1_000;

/** An HTTP/1.1 server with every limit set, that answers what it cannot parse in the form of all other errors. */
export function createHttpServer(
  limits: HttpLimits,
  tls: TlsMaterial | undefined,
  hooks: ServerHooks,
): HttpServer {
  const options: ServerOptions = {
    insecureHTTPParser: false,
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: Math.min(CHECK_MS, limits.headersMs),
    // Checked with the rest, so that the answer has the same form.
    requireHostHeader: false,
    noDelay: true,
  };
  const secure = tls && createTlsServer({ ...options, ...tlsOptions(tls) });
  const server = secure ?? createServer(options);
  server.maxConnections = limits.maxConnections;
  server.timeout = limits.idleMs;
  server.maxRequestsPerSocket = 0;

  const busy = new WeakMap<Socket, Exchange>();
  const serve = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void => {
    busy.set(request.socket, hooks.onRequest(request, response, expectsContinue));
  };
  server.on('request', (request, response) => serve(request, response, false));
  server.on('checkContinue', (request, response) => serve(request, response, true));
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const exchange = busy.get(socket);
    const refuseIt = (): void => refuse(socket, error, hooks);
    // Malformed bytes behind a whole request are refused in their turn, not in place of its answer.
    if (exchange?.request.complete && !exchange.response.closed) exchange.response.once('close', refuseIt);
    else refuseIt();
  });
  server.on('connect', (_request, socket: Socket) => refuse(socket, new Error('CONNECT'), hooks));
  server.on('drop', () => hooks.onRefused('max_connections'));
  server.on('timeout', (socket: Socket) => {
    const exchange = busy.get(socket);
    // Silence is the client's only while nothing of ours is being computed for it.
    if (exchange?.working && !exchange.response.closed) return;
    hooks.onRefused('idle_timeout');
    if (exchange !== undefined) exchange.cut = true;
    socket.destroy();
  });
  return { server, renewTls: (material) => secure?.setSecureContext(tlsOptions(material)) };
}

/** A request that never became one: answered in raw bytes, and the connection ended. */
function refuse(socket: Socket, error: NodeJS.ErrnoException, hooks: ServerHooks): void {
  const late = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  hooks.onRefused(late ? 'request_timeout' : 'malformed');
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const corrId = hooks.corrId();
  const [status, name, message] = late
    ? ['408 Request Timeout', 'Timeout', 'the request took too long to arrive']
    : ['400 Bad Request', 'BadRequest', 'this is not a well-formed request'];
  const body = `${JSON.stringify({ error: name, message, corr_id: corrId })}\n`;
  const head = [
    `HTTP/1.1 ${status}`,
    'content-type: application/json',
    'cache-control: no-store',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-corr-id: ${corrId}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
