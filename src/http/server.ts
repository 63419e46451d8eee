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
  /** @returns what the server calls when the connection has gone; undefined when the client has too many. */
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

interface HttpServer {
  readonly server: Server;
  /** Takes another certificate for connections from now on. */
  renewTls(material: TlsMaterial): void;
}

/** How often Node looks for requests that are overdue. */
const CHECK_MS = 1_000;

/** Makes an HTTP/1.1 server with every limit set. It refuses what it cannot parse in the form of all other errors. */
export function createHttpServer(limits: HttpLimits, place: ServerPlace, hooks: ServerHooks): HttpServer {
  const { kind, tls } = place;
  const options = optionsOf(limits);
  const secure = tls && createTlsServer({ ...options, ...tlsOptions(tls) });
  const server = secure ?? createServer(options);
  server.maxConnections = limits.maxConnections;
  server.timeout = limits.idleMs;
  server.maxRequestsPerSocket = 0;
  // Node would leave out headers beyond its limit, a length among them perhaps. `checkStrict` counts them instead.
  server.maxHeadersCount = 0;
  const connections = new Connections(kind, limits.maxPipelined, hooks);
  watchConnections(server, connections, hooks, secure !== undefined);
  watchRequests(server, connections, hooks);
  return { server, renewTls: (material) => secure?.setSecureContext(tlsOptions(material)) };
}

const optionsOf = (limits: HttpLimits): ServerOptions => ({
  insecureHTTPParser: false,
  maxHeaderSize: limits.maxHeaderBytes,
  headersTimeout: limits.headersMs,
  requestTimeout: limits.requestMs,
  keepAliveTimeout: limits.keepAliveMs,
  connectionsCheckingInterval: Math.min(CHECK_MS, limits.headersMs),
  // `checkStrict` looks at it with the rest, so that the answer has the same form.
  requireHostHeader: false,
  noDelay: true,
});

/** The connections of a server, by their sockets. */
class Connections {
  readonly #bySocket = new WeakMap<Socket, Connection>();
  readonly #kind: 'tcp' | 'unix';
  readonly #maxWaiting: number;
  readonly #hooks: ServerHooks;

  constructor(kind: 'tcp' | 'unix', maxWaiting: number, hooks: ServerHooks) {
    this.#kind = kind;
    this.#maxWaiting = maxWaiting;
    this.#hooks = hooks;
  }

  peerOf(socket: Socket): Peer {
    return peerOf(socket, this.#kind);
  }

  of(socket: Socket): Connection {
    const known = this.#bySocket.get(socket);
    if (known !== undefined) return known;
    const connection = new Connection(socket, this.peerOf(socket), this.#maxWaiting);
    this.#bySocket.set(socket, connection);
    return connection;
  }

  /** Answers the requests before it, then refuses and ends the connection. */
  refuse(socket: Socket, refusal: Refusal): void {
    const connection = this.of(socket);
    connection.fail(() => {
      // Nothing can follow an answer that has begun.
      if (connection.current?.response.headersSent) {
        socket.destroy();
        return;
      }
      this.#hooks.onRefused(refusal.reason);
      sendRefusal(socket, refusal, this.#hooks.corrId());
    });
  }
}

function watchConnections(
  server: Server,
  connections: Connections,
  hooks: ServerHooks,
  secure: boolean,
): void {
  server.on('connection', (socket: Socket) => {
    const gone = hooks.onConnection(connections.peerOf(socket));
    if (gone !== undefined) socket.once('close', gone);
    else if (secure) {
      hooks.onRefused(TOO_MANY_CONNECTIONS.reason);
      socket.destroy();
    } else connections.refuse(socket, TOO_MANY_CONNECTIONS);
  });
  // The connection asks for its peer now: a socket that has been reset does not tell.
  server.on(secure ? 'secureConnection' : 'connection', (socket: Socket) => connections.of(socket));
  server.on('drop', () => hooks.onRefused('max_connections'));
  server.on('timeout', (socket: Socket) => {
    const exchange = connections.of(socket).current;
    // Silence is the client's only while nothing of ours is being computed for it.
    if (exchange?.working && !exchange.response.closed) return;
    hooks.onRefused('idle_timeout');
    if (exchange !== undefined) exchange.cut = true;
    socket.destroy();
  });
}

function watchRequests(server: Server, connections: Connections, hooks: ServerHooks): void {
  const serve = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void => {
    const connection = connections.of(request.socket);
    const { peer } = connection;
    connection.take(request, (excess) =>
      hooks.onRequest({ request, response, peer, expectsContinue, excess }),
    );
  };
  server.on('request', (request, response) => serve(request, response, false));
  server.on('checkContinue', (request, response) => serve(request, response, true));
  // Without a listener Node would answer by itself, in a form of its own.
  server.on('checkExpectation', (request, response) => serve(request, response, false));
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) =>
    connections.refuse(socket, refusalOf(error)),
  );
  server.on('connect', ({ socket }: IncomingMessage) =>
    connections.refuse(socket, refusalOf(new Error('CONNECT'))),
  );
}

/** The answer to what never became a request. */
interface Refusal {
  /** Stable, for metrics. */
  readonly reason: Rejection;
  readonly status: string;
  readonly name: string;
  readonly message: string;
  readonly headers?: readonly string[];
  /** Nobody is there to be told. */
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
  message: 'this client has too many connections',
  headers: ['retry-after: 1'],
};

function refusalOf(error: NodeJS.ErrnoException): Refusal {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return LATE;
  return error.code === 'ECONNRESET' ? { ...MALFORMED, silent: true } : MALFORMED;
}

/** Writes the answer in raw bytes and ends the connection. */
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
