import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Rejection } from './admission.ts';
import type { Arrival, Exchange } from './exchange.ts';
import { Connection, type Peer, peerOf } from './exchange.ts';
import type { HttpLimits } from './limits.ts';
import { type TlsMaterial, tlsOptions } from './listener.ts';

interface ServerHooks {
  /** @returns what is to be called when the connection has gone; undefined when the client has too many. */
  onConnection(peer: Peer): (() => void) | undefined;
  onRequest(arrival: Arrival): Exchange;
  /** @param reason stable, for metrics. */
  onRefused(reason: Rejection): void;
  corrId(): string;
}

interface ServerPlace {
  readonly kind: 'tcp' | 'unix';
  readonly tls: TlsMaterial | undefined;
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
  { kind, tls }: ServerPlace,
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
  // Node would leave out those beyond, a length among them perhaps. Ours are counted where they are checked.
  server.maxHeadersCount = 0;

  const connections = new WeakMap<Socket, Connection>();
  const connectionOf = (socket: Socket): Connection => {
    const known = connections.get(socket);
    if (known !== undefined) return known;
    const connection = new Connection(socket, peerOf(socket, kind), limits.maxPipelined);
    connections.set(socket, connection);
    return connection;
  };
  const refuse = (socket: Socket, refusal: Refusal): void => {
    hooks.onRefused(refusal.reason);
    sendRefusal(socket, refusal, hooks.corrId());
  };

  server.on('connection', (socket: Socket) => {
    const gone = hooks.onConnection(peerOf(socket, kind));
    if (gone !== undefined) socket.once('close', gone);
    else if (secure === undefined) {
      connectionOf(socket).fail(() => refuse(socket, TOO_MANY_CONNECTIONS));
    } else {
      hooks.onRefused(TOO_MANY_CONNECTIONS.reason);
      socket.destroy();
    }
  });
  // Its peer is asked for now: a socket that has been reset does not tell.
  server.on(secure === undefined ? 'connection' : 'secureConnection', connectionOf);
  const serve = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void => {
    const connection = connectionOf(request.socket);
    const { peer } = connection;
    connection.take(request, (excess) =>
      hooks.onRequest({ request, response, peer, expectsContinue, excess }),
    );
  };
  server.on('request', (request, response) => serve(request, response, false));
  server.on('checkContinue', (request, response) => serve(request, response, true));
  // Else Node answers by itself, in a form of its own.
  server.on('checkExpectation', (request, response) => serve(request, response, false));
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const connection = connectionOf(socket);
    connection.fail(() => {
      // What has begun cannot be followed by anything.
      if (connection.current?.response.headersSent) socket.destroy();
      else refuse(socket, refusalOf(error));
    });
  });
  server.on('connect', ({ socket }: IncomingMessage) => {
    connectionOf(socket).fail(() => refuse(socket, refusalOf(new Error('CONNECT'))));
  });
  server.on('drop', () => hooks.onRefused('max_connections'));
  server.on('timeout', (socket: Socket) => {
    const exchange = connectionOf(socket).current;
    // Silence is the client's only while nothing of ours is being computed for it.
    if (exchange?.working && !exchange.response.closed) return;
    hooks.onRefused('idle_timeout');
    if (exchange !== undefined) exchange.cut = true;
    socket.destroy();
  });
  return { server, renewTls: (material) => secure?.setSecureContext(tlsOptions(material)) };
}

/** The answer to what never became a request. */
interface Refusal {
  /** Stable, for metrics. */
  readonly reason: Rejection;
  readonly status: string;
  readonly name: string;
  readonly message: string;
  readonly headers?: readonly string[];
  /** There is nobody to tell. */
  readonly silent?: boolean;
}

const MALFORMED: Refusal = {
  reason: 'malformed',
  status: '400 Bad Request',
  name: 'BadRequest',
  message: 'this is not a well-formed request',
};
const LATE: Refusal = {
  reason: 'request_timeout',
  status: '408 Request Timeout',
  name: 'Timeout',
  message: 'the request took too long to arrive',
};
const TOO_MANY_CONNECTIONS: Refusal = {
  reason: 'client_connections',
  status: '503 Service Unavailable',
  name: 'Unavailable',
  message: 'this client has as many connections as one may have here',
  headers: ['retry-after: 1'],
};

function refusalOf(error: NodeJS.ErrnoException): Refusal {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return LATE;
  return error.code === 'ECONNRESET' ? { ...MALFORMED, silent: true } : MALFORMED;
}

/** Answers in raw bytes and ends the connection. */
function sendRefusal(socket: Socket, refusal: Refusal, corrId: string): void {
  if (refusal.silent || !socket.writable) {
    socket.destroy();
    return;
  }
  const body = `${JSON.stringify({ error: refusal.name, message: refusal.message, corr_id: corrId })}\n`;
  const head = [
    `HTTP/1.1 ${refusal.status}`,
    'content-type: application/json',
    'cache-control: no-store',
    'x-content-type-options: nosniff',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-corr-id: ${corrId}`,
    ...(refusal.headers ?? []),
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
