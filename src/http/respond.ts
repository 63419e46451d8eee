import type { IncomingMessage } from 'node:http';
import type { Clock } from '../core/clock.ts';
import type { Exchange, HeaderList, Headers } from './exchange.ts';
import type { HttpProblem } from './problem.ts';
import type { TransferAllowance } from './slow-peers.ts';

/** The longest piece that a socket gets at once. */
const SEND_PIECE_BYTES = 64 * 1024;
/** The most that is still read of a body nobody wants, so that the answer is not lost in a connection reset. */
const LINGER_BYTES = 4 * 1024 * 1024;
const LINGER_MS = 2_000;

export function headerList(headers: Headers): (string | number)[] {
  const list: (string | number)[] = [];
  for (const name in headers) list.push(name, headers[name]!);
  return list;
}

export function sendEmpty(exchange: Exchange, status: number, headers: Headers = {}): void {
  const { response } = exchange;
  const length = status === 204 || status === 304 ? {} : { 'content-length': 0 };
  exchange.writeHead(status, headerList({ ...length, ...headers }));
  response.end();
}

export function sendBytes(exchange: Exchange, status: number, headers: HeaderList, bytes: Uint8Array): void {
  const { request, response } = exchange;
  exchange.writeHead(status, [...headers, 'content-length', bytes.length]);
  exchange.working = false;
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  exchange.bytesOut += bytes.length;
  response.end(bytes);
  // Nothing is left to do: a client that takes long to read it keeps nobody out.
  exchange.leave();
}

export function sendJson(exchange: Exchange, status: number, data: unknown, headers: Headers = {}): void {
  sendText(exchange, status, 'application/json', `${JSON.stringify(data)}\n`, headers);
}

export function sendText(
  exchange: Exchange,
  status: number,
  contentType: string,
  text: string,
  headers: Headers = {},
): void {
  const head = { 'cache-control': 'no-store', ...headers, 'content-type': contentType };
  sendBytes(exchange, status, headerList(head), Buffer.from(text));
}

/** Writes pieces no faster than the socket takes them, and ends the answer. The head has been written. */
export async function sendPieces(
  exchange: Exchange,
  pieces: AsyncIterable<Uint8Array> | readonly Uint8Array[],
  allowance: TransferAllowance,
): Promise<void> {
  const { response } = exchange;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; at += SEND_PIECE_BYTES) {
      const part = piece.subarray(at, at + SEND_PIECE_BYTES);
      exchange.bytesOut += part.length;
      allowance.moved(part.length);
      if (response.write(part)) continue;
      exchange.working = false;
      await allowance.wait(drained(exchange));
      exchange.working = true;
    }
  }
  exchange.working = false;
  response.end();
}

function drained({ response, signal }: Exchange): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      response.off('drain', settle);
      signal.removeEventListener('abort', settle);
      if (signal.aborted) reject(signal.reason);
      else resolve();
    };
    response.once('drain', settle);
    signal.addEventListener('abort', settle, { once: true });
    if (signal.aborted) settle();
  });
}

/** Answers a failure. Cuts the connection where an answer has begun: half an answer must not look whole. */
export function sendProblem(exchange: Exchange, problem: HttpProblem): void {
  const { request, response, corrId } = exchange;
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const body = Buffer.from(
    `${JSON.stringify({ error: problem.problem, message: problem.message, corr_id: corrId })}\n`,
  );
  const unread = !request.complete;
  // A client that waits to be invited sends nothing more, so the connection is as good as new.
  const close = problem.close || (unread && !exchange.uninvited && !shortRest(request));
  const head = {
    ...problem.headers,
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'content-length': body.length,
  };
  exchange.last ||= close || exchange.uninvited;
  exchange.writeHead(problem.status, headerList(head));
  exchange.working = false;
  if (request.method !== 'HEAD') {
    exchange.bytesOut += body.length;
    response.write(body);
  }
  if (close && unread && !exchange.uninvited) {
    linger(exchange.clock, request, () => response.end());
    return;
  }
  response.end();
  if (unread) request.resume(); // the rest of the body is in the way of the next request
}

/** Tells whether the body is so short that reading it costs less than a new connection. */
function shortRest(request: IncomingMessage): boolean {
  if (request.headers['transfer-encoding'] !== undefined) return false;
  return Number(request.headers['content-length'] ?? 0) <= SEND_PIECE_BYTES;
}

/** Closing a socket with unread input resets it, and the client may never see what was answered. */
function linger(clock: Clock, request: IncomingMessage, done: () => void): void {
  let size = 0;
  const finish = (): void => {
    cancel();
    request.off('data', count).off('end', finish).off('close', finish).off('error', finish);
    done();
  };
  const count = (piece: Buffer): void => {
    size += piece.length;
    if (size > LINGER_BYTES) finish();
  };
  const cancel = clock.timer(LINGER_MS, finish);
  request.on('data', count).once('end', finish).once('close', finish).once('error', finish);
  request.resume();
}
