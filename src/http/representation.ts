import type { Clock } from '../core/clock.ts';
import type { Exchange } from './exchange.ts';
import { evaluate, ifRangeHolds } from './message/conditional.ts';
import { createPatience, type PatienceLimits } from './message/patience.ts';
import { HttpProblem } from './message/problem.ts';
import { type ByteRange, parseRange } from './message/range.ts';
import { type Headers, sendBytes, sendEmpty, sendPieces } from './message/respond.ts';

/** What a socket takes whether or not anyone reads. */
const SOCKET_BYTES = 64 * 1024;

/** Bytes that can be served, whole or in part. */
export interface Representation {
  /** Strong, with its quotes. */
  readonly etag: string;
  readonly size: number;
  readonly contentType: string;
  readonly cacheControl: string;
  /** Further fields of 200, 206 and 304. */
  readonly headers?: Headers;
  /** All bytes, when they are in memory. */
  readonly bytes?: Uint8Array | undefined;
  /** Bytes of a window, in order. What was yielded is not written to afterwards. */
  read(range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/**
 * Answers `GET` or `HEAD`: 200, 206, 304, 412 or 416. The head follows the first piece, so that a failure before it
 * is still told by a status; one after it cuts the connection.
 */
export async function sendRepresentation(
  exchange: Exchange,
  representation: Representation,
  clock: Clock,
  patience: PatienceLimits,
): Promise<void> {
  const { etag, size } = representation;
  const shared = { ...representation.headers, etag, 'cache-control': representation.cacheControl };
  const preconditions = {
    ifMatch: exchange.header('if-match'),
    ifNoneMatch: exchange.header('if-none-match'),
  };
  const outcome = evaluate(preconditions, etag, true);
  if (outcome === 'not_modified') return sendEmpty(exchange, 304, shared);
  if (outcome === 'failed') throw new HttpProblem(412, 'PreconditionFailed', 'If-Match names other bytes');
  const head: Headers = {
    ...shared,
    'accept-ranges': 'bytes',
    'content-type': representation.contentType,
    'x-content-type-options': 'nosniff',
  };
  const part = wantedRange(exchange, etag, size);
  const range = part ?? { start: 0, end: size };
  const status = part === undefined ? 200 : 206;
  const placed = part === undefined ? head : { ...head, 'content-range': contentRange(part, size) };
  if (representation.bytes !== undefined) {
    limitDelivery(exchange, range.end - range.start, clock, patience);
    return sendBytes(exchange, status, placed, representation.bytes.subarray(range.start, range.end));
  }
  await stream(exchange, representation, status, placed, range, createPatience(clock, patience));
}

/** What is in memory goes to the socket at once; a reader who then takes too long over it is cut off. */
function limitDelivery(
  exchange: Exchange,
  length: number,
  clock: Clock,
  { graceMs, minBytesPerSecond }: PatienceLimits,
): void {
  if (length <= SOCKET_BYTES) return;
  clock.sleep(graceMs + (1000 * length) / minBytesPerSecond, exchange.signal).then(
    () => {
      exchange.cut = true;
      exchange.response.destroy();
    },
    () => {},
  );
}

const contentRange = ({ start, end }: ByteRange, size: number): string => `bytes ${start}-${end - 1}/${size}`;

/** Undefined: the whole. Ranges are defined for GET alone (RFC 9110, 14.2). @throws HttpProblem 416 */
function wantedRange(exchange: Exchange, etag: string, size: number): ByteRange | undefined {
  const header = exchange.header('range');
  if (header === undefined || exchange.request.method !== 'GET') return undefined;
  if (!ifRangeHolds(exchange.header('if-range'), etag)) return undefined;
  const range = parseRange(header, size);
  if (range === 'whole') return undefined;
  if (range !== 'unsatisfiable') return range;
  throw new HttpProblem(416, 'RangeNotSatisfiable', `there are ${size} bytes`, {
    headers: { 'content-range': `bytes */${size}`, 'accept-ranges': 'bytes', etag },
  });
}

async function stream(
  exchange: Exchange,
  representation: Representation,
  status: number,
  head: Headers,
  range: ByteRange,
  patience: ReturnType<typeof createPatience>,
): Promise<void> {
  const { request, response } = exchange;
  const length = range.end - range.start;
  const withLength = { ...head, 'content-length': length };
  if (request.method === 'HEAD') {
    response.writeHead(status, withLength);
    response.end();
    return;
  }
  const pieces = representation.read(range, exchange.signal)[Symbol.asyncIterator]();
  const first = await pieces.next();
  response.writeHead(status, withLength);
  await sendPieces(exchange, resumed(first, pieces), patience);
}

async function* resumed(
  first: IteratorResult<Uint8Array>,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for (let step = first; !step.done; step = await rest.next()) yield step.value;
  } finally {
    await rest.return?.();
  }
}
