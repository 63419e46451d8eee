import type { Exchange } from '../../http/exchange.ts';
import { evaluate, ifRangeHolds } from '../../http/message/conditional.ts';
import { createPatience } from '../../http/message/patience.ts';
import { HttpProblem } from '../../http/message/problem.ts';
import { type ByteRange, parseRange } from '../../http/message/range.ts';
import { type Headers, sendBytes, sendEmpty, sendPieces } from '../../http/message/respond.ts';
import type { NodeContext, NodeEndpoint } from '../context.ts';
import type { VerifiedBlob } from '../verified/reader.ts';
import { addressFrom, etagOf } from './address.ts';

/** Private: what a token was needed for is not for shared caches. */
const CACHE_CONTROL = 'private, max-age=31536000, immutable';

/** `GET` and `HEAD /o/{address}`: 200, 206, 304, 412, 416, 404; 500 for bytes that are not what they should be. */
export const getBlob: NodeEndpoint = {
  scope: 'read',
  load: 'read',
  async run(context, exchange, [text]) {
    const address = addressFrom(text);
    const blob = await context.reader.open(address, exchange.signal);
    const etag = etagOf(address);
    const shared = { etag, 'cache-control': CACHE_CONTROL };
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
      'content-type': 'application/octet-stream',
      'x-content-type-options': 'nosniff',
    };
    const range = wantedRange(exchange, etag, blob.size);
    if (range === undefined) return send(context, exchange, blob, 200, head, { start: 0, end: blob.size });
    const contentRange = `bytes ${range.start}-${range.end - 1}/${blob.size}`;
    await send(context, exchange, blob, 206, { ...head, 'content-range': contentRange }, range);
  },
};

/** Undefined: the whole. Ranges are defined for GET alone (RFC 9110, 14.2). @throws HttpProblem 416 */
function wantedRange(exchange: Exchange, etag: string, size: number): ByteRange | undefined {
  const header = exchange.header('range');
  if (header === undefined || exchange.request.method !== 'GET') return undefined;
  if (!ifRangeHolds(exchange.header('if-range'), etag)) return undefined;
  const range = parseRange(header, size);
  if (range === 'whole') return undefined;
  if (range !== 'unsatisfiable') return range;
  throw new HttpProblem(416, 'RangeNotSatisfiable', `the blob has ${size} bytes`, {
    headers: { 'content-range': `bytes */${size}`, 'accept-ranges': 'bytes', etag },
  });
}

async function send(
  { clock, limits }: NodeContext,
  exchange: Exchange,
  blob: VerifiedBlob,
  status: number,
  head: Headers,
  range: ByteRange,
): Promise<void> {
  const { request, response } = exchange;
  const length = range.end - range.start;
  if (blob.bytes !== undefined) {
    return sendBytes(exchange, status, head, blob.bytes.subarray(range.start, range.end));
  }
  if (request.method === 'HEAD') {
    response.writeHead(status, { ...head, 'content-length': length });
    response.end();
    return;
  }
  const pieces = blob.read(range, exchange.signal)[Symbol.asyncIterator]();
  // The head follows the first piece that was found right: until then a failure can still be told.
  const first = await pieces.next();
  response.writeHead(status, { ...head, 'content-length': length });
  await sendPieces(exchange, resumed(first, pieces), createPatience(clock, limits));
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
