import type { Clock } from '../core/clock.ts';
import type { Exchange, HeaderList, Headers } from './exchange.ts';
import { HttpProblem } from './problem.ts';
import { headerList, sendBytes, sendEmpty, sendPieces } from './respond.ts';
import { type ByteRange, evaluate, ifRangeHolds, parseRange } from './selection.ts';
import { type AllowanceLimits, createTransferAllowance, type TransferAllowance } from './slow-peers.ts';

/** A socket takes this much whether or not anyone reads. */
const SOCKET_BYTES = 64 * 1024;

/** Bytes in memory that is used again. */
export interface PinnedBytes {
  readonly bytes: Uint8Array;
  /** Nothing reads the bytes any more. Idempotent. */
  release(): void;
}

/** Pins the bytes of a window; undefined when there is no memory for them now. */
type Pin = (range: ByteRange, signal: AbortSignal) => Promise<PinnedBytes | undefined>;

/** Bytes that can be served, whole or in part. */
interface Representation {
  /** Strong, with its quotes. */
  readonly etag: string;
  readonly size: number;
  readonly contentType: string;
  readonly cacheControl: string;
  /** Further fields of 200, 206 and 304. */
  readonly headers?: Headers;
  /** Called when the head of an answer to `GET` goes out, with the bytes that follow it: further fields of 200 and 206. */
  readonly begin?: ((length: number) => Headers) | undefined;
  /** False: a browser may run what a page among them says, in the name of this server. Default true. */
  readonly sandboxed?: boolean;
  /** All bytes, when they are in memory. */
  readonly bytes?: Uint8Array | undefined;
  /** The server calls it when it does not use `bytes` any more. */
  readonly release?: (() => void) | undefined;
  /** The other way to have bytes in memory: a window of them. */
  readonly pin?: Pin | undefined;
  /** Gives the bytes of a window, in order. Nobody writes to a piece after it was yielded. */
  read(range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/**
 * Answers `GET` or `HEAD`: 200, 206, 304, 412 or 416. The head follows the first piece, so that a status can still tell
 * of a failure before it. A failure after it cuts the connection.
 */
export async function sendRepresentation(
  exchange: Exchange,
  representation: Representation,
  clock: Clock,
  limits: AllowanceLimits,
): Promise<void> {
  const { etag, size } = representation;
  if (representation.release !== undefined) exchange.atEnd(representation.release);
  const preconditions = {
    ifMatch: exchange.header('if-match'),
    ifNoneMatch: exchange.header('if-none-match'),
  };
  const outcome = evaluate(preconditions, etag, true);
  if (outcome === 'not_modified') return sendNotModified(exchange, representation);
  if (outcome === 'failed') throw new HttpProblem(412, 'PreconditionFailed', 'If-Match names other bytes');
  const part = wantedRange(exchange, etag, size);
  const range = part ?? { start: 0, end: size };
  const status = part === undefined ? 200 : 206;
  const head = headOf(representation);
  if (part !== undefined) head.push('content-range', contentRange(part, size));
  if (representation.bytes !== undefined) {
    limitDelivery(exchange, range.end - range.start, clock, limits);
    const whole = begun(exchange, representation, head, range);
    return sendBytes(exchange, status, whole, representation.bytes.subarray(range.start, range.end));
  }
  if (exchange.request.method === 'HEAD') {
    exchange.writeHead(status, [...head, 'content-length', range.end - range.start]);
    exchange.response.end();
    return;
  }
  const pinned = await representation.pin?.(firstStep(range), exchange.signal);
  if (pinned !== undefined) exchange.atEnd(pinned.release);
  if (pinned?.bytes.length === range.end - range.start) {
    limitDelivery(exchange, pinned.bytes.length, clock, limits);
    return sendBytes(exchange, status, begun(exchange, representation, head, range), pinned.bytes);
  }
  const allowance = createTransferAllowance(clock, limits);
  await stream(exchange, representation, status, head, range, pinned, allowance);
}

/** The head with what is said of a read that begins. */
function begun(
  { request }: Exchange,
  { begin }: Representation,
  head: HeaderList,
  { start, end }: ByteRange,
): HeaderList {
  if (begin === undefined || request.method !== 'GET') return head;
  return [...head, ...headerList(begin(end - start))];
}

function sendNotModified(
  exchange: Exchange,
  { cacheControl, etag, headers, sandboxed }: Representation,
): void {
  const policy: Headers = sandboxed === false ? {} : { 'content-security-policy': 'sandbox' };
  sendEmpty(exchange, 304, { ...headers, ...policy, etag, 'cache-control': cacheControl });
}

function headOf(representation: Representation): (string | number)[] {
  const { etag, contentType, cacheControl, headers } = representation;
  const head = headers === undefined ? [] : headerList(headers);
  if (representation.sandboxed !== false) head.push('content-security-policy', 'sandbox');
  head.push('etag', etag, 'cache-control', cacheControl, 'content-type', contentType);
  head.push('accept-ranges', 'bytes');
  return head;
}

/** Cuts off a reader who takes too long over bytes in memory: those went to the socket at once. */
function limitDelivery(
  exchange: Exchange,
  length: number,
  clock: Clock,
  { graceMs, minBytesPerSecond }: AllowanceLimits,
): void {
  if (length <= SOCKET_BYTES) return;
  const deadline = clock.monotonic() + graceMs + (1000 * length) / minBytesPerSecond;
  const unwatch = exchange.slow.watch(
    () => deadline,
    () => {
      exchange.cut = true;
      exchange.response.destroy();
    },
  );
  exchange.atEnd(unwatch);
}

const contentRange = ({ start, end }: ByteRange, size: number): string => `bytes ${start}-${end - 1}/${size}`;

/** Undefined: the whole. Only GET has ranges (RFC 9110, 14.2). @throws HttpProblem 416 */
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

/** @param pinned the first step of the window, if there was memory for it. */
async function stream(
  exchange: Exchange,
  representation: Representation,
  status: number,
  head: HeaderList,
  range: ByteRange,
  pinned: PinnedBytes | undefined,
  allowance: TransferAllowance,
): Promise<void> {
  const { signal } = exchange;
  const { pin, read } = representation;
  const withLength = (): HeaderList => [
    ...begun(exchange, representation, head, range),
    'content-length',
    range.end - range.start,
  ];
  if (pinned === undefined || pin === undefined) {
    const pieces = read(range, signal)[Symbol.asyncIterator]();
    const first = await pieces.next();
    try {
      exchange.writeHead(status, withLength());
    } catch (error) {
      await pieces.return?.();
      throw error;
    }
    return sendPieces(exchange, resumed(first, pieces), allowance);
  }
  exchange.writeHead(status, withLength());
  const start = await sendPinned(exchange, pinned, range, pin, allowance);
  await sendPieces(exchange, start === range.end ? [] : read({ start, end: range.end }, signal), allowance);
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

/** A window up to this long is pinned as one. */
const WHOLE_BYTES = 2 * 1024 * 1024;
/** A longer window goes in steps that end at multiples of this, where pieces of blobs end too. */
const STEP_BYTES = 1024 * 1024;

function firstStep({ start, end }: ByteRange): ByteRange {
  if (end - start <= WHOLE_BYTES) return { start, end };
  return { start, end: (Math.floor(start / STEP_BYTES) + 1) * STEP_BYTES };
}

/**
 * Sends a window under a head that has been written, with one step in memory at a time.
 * @param first is the first step. Each step is released when it is sent or the connection gone.
 * @returns the end of the window, or where it stopped for want of memory.
 */
async function sendPinned(
  exchange: Exchange,
  first: PinnedBytes,
  { start, end }: ByteRange,
  pin: Pin,
  allowance: TransferAllowance,
): Promise<number> {
  let at = start;
  let pinned: PinnedBytes | undefined = first;
  exchange.atEnd(() => pinned?.release());
  for (;;) {
    const { length } = pinned.bytes;
    at += length;
    exchange.bytesOut += length;
    allowance.moved(length);
    exchange.working = false;
    await allowance.wait(written(exchange, pinned.bytes));
    exchange.working = true;
    pinned.release();
    if (at === end) return at;
    pinned = await pin(firstStep({ start: at, end }), exchange.signal);
    if (pinned === undefined) return at;
    // The end of the exchange has come already: nothing else will release it.
    if (exchange.signal.aborted) pinned.release();
  }
}

/** Resolves once the socket needs the bytes no more. */
function written({ response, signal }: Exchange, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(signal.reason);
    const settle = (error?: Error | null): void => {
      signal.removeEventListener('abort', gone);
      if (error) reject(error);
      else resolve();
    };
    signal.addEventListener('abort', gone, { once: true });
    if (signal.aborted) return gone();
    response.write(bytes, settle);
  });
}
