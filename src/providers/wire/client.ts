import { Readable } from 'node:stream';
import { Agent, type Dispatcher, request } from 'undici';
import { abortError } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
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

export interface WireAnswer {
  readonly status: number;
  header(name: string): string | undefined;
  /** Throws `Unavailable` when the connection ends before the body does. Not read to the end: the connection is dropped. */
  readonly body: AsyncIterable<Uint8Array>;
  /** The body as text, of which at most `maxBytes` are read. */
  text(maxBytes?: number): Promise<string>;
  /** Lets go of the body. */
  discard(): Promise<void>;
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
  readonly clock: Clock;
}

const MAX_TEXT_BYTES = 1024 * 1024;
const MAX_CONNECTIONS = 64;
const CONNECT_TIMEOUT_MS = 10_000;
/** Time without a byte; the deadline of a whole call is set above. */
const IDLE_TIMEOUT_MS = 120_000;
const SEND_PIECE_BYTES = 256 * 1024;

export function createWireClient({ origin, tls = {}, socketPath }: WireOptions): WireClient {
  const agent = new Agent({
    connections: MAX_CONNECTIONS,
    bodyTimeout: IDLE_TIMEOUT_MS,
    headersTimeout: IDLE_TIMEOUT_MS,
    connect: {
      timeout: CONNECT_TIMEOUT_MS,
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls.clientCert === undefined ? {} : { cert: tls.clientCert, key: tls.clientKey }),
      ...(socketPath === undefined ? {} : { socketPath }),
    },
  });
  return {
    async send({ method, path, headers, body, signal }) {
      try {
        const answer = await request(new URL(path, origin), {
          dispatcher: agent,
          method: method as Dispatcher.HttpMethod,
          headers: { ...headers },
          body: body === undefined ? null : Readable.from(toBody(body), { objectMode: false }),
          // Else undici closes the connection after each HEAD, for fear of servers that send a body with the answer.
          reset: false,
          ...(signal === undefined ? {} : { signal }),
        });
        return wrapAnswer(answer, signal);
      } catch (error) {
        throw signal?.aborted ? abortError(signal) : networkError(error, origin.startsWith('https:'));
      }
    },
    close: () => agent.destroy(),
  };
}

function wrapAnswer(answer: Dispatcher.ResponseData, signal: AbortSignal | undefined): WireAnswer {
  const { body, headers } = answer;
  // A body that nobody reads any more may fail later; that is nobody's error.
  body.on('error', () => {});
  const pieces = readBody(body, signal);
  return {
    status: answer.statusCode,
    header: (name) => {
      const value = headers[name.toLowerCase()];
      return Array.isArray(value) ? value.join(', ') : value;
    },
    body: pieces,
    async text(maxBytes = MAX_TEXT_BYTES) {
      const kept: Uint8Array[] = [];
      let size = 0;
      for await (const piece of pieces) {
        kept.push(piece);
        size += piece.length;
        if (size >= maxBytes) break;
      }
      return Buffer.concat(kept).toString('utf8', 0, maxBytes);
    },
    // A short rest is read, so that the connection can be used again; a long one is not worth it.
    discard: () => body.dump({ limit: 64 * 1024 }).catch(() => {}),
  };
}

async function* readBody(
  body: Dispatcher.ResponseData['body'],
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      yield new Uint8Array(piece.buffer, piece.byteOffset, piece.length);
    }
  } catch (error) {
    throw signal?.aborted ? abortError(signal) : networkError(error);
  } finally {
    body.destroy();
  }
}

async function* toBody(
  source: readonly Uint8Array[] | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  for await (const part of source) {
    for (let at = 0; at < part.length; at += SEND_PIECE_BYTES) {
      const piece = part.subarray(at, at + SEND_PIECE_BYTES);
      // Sockets do not take shared memory.
      yield piece.buffer instanceof SharedArrayBuffer ? Buffer.from(piece) : piece;
    }
  }
}
