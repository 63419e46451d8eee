import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import { isCleartext } from '../../core/loopback.ts';
import { AnswerHandler, type WireAnswer } from './answer.ts';
import { refuseCleartext } from './auth.ts';
import { networkError } from './errors.ts';

/** An HTTP client for one origin. It follows no redirect: credentials go where the configuration says, or nowhere. */
export interface WireClient {
  /** Rejects only when there is no answer; what the status means is the caller's to say. */
  send(request: WireRequest): Promise<WireAnswer>;
  close(): Promise<void>;
}

export interface WireRequest {
  readonly method: string;
  /** Path and query, escaped. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Pieces in a row, or a stream; the length goes into `content-length`. */
  readonly body?: readonly Uint8Array[] | AsyncIterable<Uint8Array> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Over TLS: whom to trust, and who we are. All of it PEM. */
export interface TlsIdentity {
  /** Of the authorities to trust, instead of the system's. */
  readonly ca?: string | undefined;
  /** Shown to a server that asks for it, with its key. */
  readonly clientCert?: string | undefined;
  readonly clientKey?: string | undefined;
}

export interface WireOptions {
  /** `https://host[:port]`. */
  readonly origin: string;
  readonly tls?: TlsIdentity | undefined;
  /** A Unix socket to connect to instead of the origin's host. */
  readonly socketPath?: string | undefined;
}

const MAX_CONNECTIONS = 64;
const CONNECT_TIMEOUT_MS = 10_000;
/** Time without a byte; the deadline of a whole call is set above. */
const IDLE_TIMEOUT_MS = 120_000;

/** Whether the same request can be sent again: its body was not used up. */
export const isRepeatable = ({ body }: WireRequest): boolean => body === undefined || Array.isArray(body);

export function createWireClient({ origin, tls = {}, socketPath }: WireOptions): WireClient {
  const dialler = createDialler({
    timeout: CONNECT_TIMEOUT_MS,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.clientCert === undefined ? {} : { cert: tls.clientCert, key: tls.clientKey }),
    ...(socketPath === undefined ? {} : { socketPath }),
  });
  const agent = new Agent({
    connections: MAX_CONNECTIONS,
    bodyTimeout: IDLE_TIMEOUT_MS,
    headersTimeout: IDLE_TIMEOUT_MS,
    connect: dialler.connect,
  });
  const overheard = socketPath === undefined && isCleartext(origin);
  const typed = (error: unknown): unknown => networkError(error, origin.startsWith('https:'));
  return {
    async send({ method, path, headers = {}, body, signal }) {
      if (overheard) refuseCleartext(origin, headers);
      const { pathname, search } = new URL(path, origin);
      const handler = new AnswerHandler(signal, typed);
      const request = {
        origin,
        path: pathname + search,
        method: method as Dispatcher.HttpMethod,
        headers: { ...headers },
        // Any iterable will do, of shared memory too; the types know streams only.
        body: (Array.isArray(body) && body.length === 1 ? body[0] : (body ?? null)) as Readable | null,
        // Else undici closes the connection after each HEAD, for fear of servers that send a body with the answer.
        reset: false,
      };
      agent.dispatch(request, handler);
      return handler.answer;
    },
    async close() {
      const destroyed = agent.destroy();
      dialler.close();
      await destroyed;
    },
  };
}

/** Makes connections, and can give up those that are still being made: destroying an agent waits for them. */
interface Dialler {
  readonly connect: buildConnector.connector;
  close(): void;
}

function createDialler(options: buildConnector.BuildOptions): Dialler {
  const dial = buildConnector(options);
  // No signal among the options: Node keeps a listener on it for every connection there ever was.
  const dialling = new Set<Socket>();
  return {
    connect(target, callback) {
      // The types say nothing of it, but the socket is what comes back.
      const socket: unknown = dial(target, (...outcome) => {
        if (socket instanceof Socket) dialling.delete(socket);
        callback(...outcome);
      });
      if (socket instanceof Socket) dialling.add(socket);
    },
    close() {
      for (const socket of dialling) socket.destroy(new Error('the client was closed'));
    },
  };
}
