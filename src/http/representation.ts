import type { Clock } from '../core/clock.ts';
import type { Exchange, HeaderList, Headers } from './exchange.ts';
import { HttpProblem } from './problem.ts';
import { headerList, sendBytes, sendEmpty, sendPieces } from './respond.ts';
import { type ByteRange, evaluate, ifRangeHolds, parseRange } from './selection.ts';
import { createPatience, type PatienceLimits, type TransferAllowance } from './slow-peers.ts';

/** What a socket takes whether or not anyone reads. */
const SOCKET_BYTES = 64 * 1024;

/** Bytes that can be served, whole or in part. */
interface Representation {
  /** Strong, with its quotes. */
  readonly etag: string;
  readonly size: number;
  readonly contentType: string;
  readonly cacheControl: string;
  /** Further fields of 200, 206 and 304. */
  readonly headers?: Headers;
  /** False: a browser may do what a page among them says, in the name of whoever serves it. Default true. */
  readonly sandboxed?: boolean;
  /** All bytes, when they are in memory; and what to call when they are not used any more. */
  readonly bytes?: Uint8Array | undefined;
  readonly release?: (() => void) | undefined;
  /** The other way to have bytes in memory: a window of them. */
  readonly hold?: Hold | undefined;
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
  if (representation.release !== undefined) exchange.atEnd(representation.release);
  const preconditions = {
    ifMatch: exchange.header('if-match'),
    ifNoneMatch: exchange.header('if-none-match'),
  };
  const outcome = evaluate(preconditions, etag, true);
  const cacheControl = representation.cacheControl;
  if (outcome === 'not_modified') {
    const policy: Headers =
      representation.sandboxed === false ? {} : { 'content-security-policy': 'sandbox' };
    const headers = { ...representation.headers, ...policy };
    return sendEmpty(exchange, 304, { ...headers, etag, 'cache-control': cacheControl });
  }
  if (outcome === 'failed') throw new HttpProblem(412, 'PreconditionFailed', 'If-Match names other bytes');
  const part = wantedRange(exchange, etag, size);
  const range = part ?? { start: 0, end: size };
  const status = part === undefined ? 200 : 206;
  const head = headOf(representation);
  if (part !== undefined) head.push('content-range', contentRange(part, size));
  if (representation.bytes !== undefined) {
    limitDelivery(exchange, range.end - range.start, clock, patience);
    return sendBytes(exchange, status, head, representation.bytes.subarray(range.start, range.end));
  }
  if (exchange.request.method === 'HEAD') {
    exchange.writeHead(status, [...head, 'content-length', range.end - range.start]);
    exchange.response.end();
    return;
  }
  const held = await representation.hold?.(firstStep(range), exchange.signal);
  if (held !== undefined) exchange.atEnd(held.release);
  if (held?.bytes.length === range.end - range.start) {
    limitDelivery(exchange, held.bytes.length, clock, patience);
    return sendBytes(exchange, status, head, held.bytes);
  }
  await stream(exchange, representation, status, head, range, held, createPatience(clock, patience));
}

function headOf(representation: Representation): (string | number)[] {
  const { etag, contentType, cacheControl, headers } = representation;
  const head = headers === undefined ? [] : headerList(headers);
  if (representation.sandboxed !== false) head.push('content-security-policy', 'sandbox');
  head.push('etag', etag, 'cache-control', cacheControl, 'content-type', contentType);
  head.push('accept-ranges', 'bytes');
  return head;
}

/** What is in memory goes to the socket at once; a reader who then takes too long over it is cut off. */
function limitDelivery(
  exchange: Exchange,
  length: number,
  clock: Clock,
  { graceMs, minBytesPerSecond }: PatienceLimits,
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

/** @param held what there is of the window already. */
async function stream(
  exchange: Exchange,
  { hold, read }: Representation,
  status: number,
  head: HeaderList,
  range: ByteRange,
  held: PinnedBytes | undefined,
  patience: TransferAllowance,
): Promise<void> {
  const { signal } = exchange;
  const withLength = [...head, 'content-length', range.end - range.start];
  if (held === undefined || hold === undefined) {
    const pieces = read(range, signal)[Symbol.asyncIterator]();
    const first = await pieces.next();
    try {
      exchange.writeHead(status, withLength);
    } catch (error) {
      await pieces.return?.();
      throw error;
    }
    return sendPieces(exchange, resumed(first, pieces), patience);
  }
  exchange.writeHead(status, withLength);
  const start = await sendHeld(exchange, held, range, hold, patience);
  await sendPieces(exchange, start === range.end ? [] : read({ start, end: range.end }, signal), patience);
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

/** Bytes in memory that is used again. */
export interface PinnedBytes {
  readonly bytes: Uint8Array;
  /** Nothing reads the bytes any more. Called again it does nothing. */
  release(): void;
}

/** Bytes of a window, or undefined when there is no memory for them now. */
type Hold = (range: ByteRange, signal: AbortSignal) => Promise<PinnedBytes | undefined>;

/** A window up to this long is held as one. */
const WHOLE_BYTES = 2 * 1024 * 1024;
/** A longer one goes in steps that end at multiples of this, where pieces of blobs end too. */
const STEP_BYTES = 1024 * 1024;

function firstStep({ start, end }: ByteRange): ByteRange {
  if (end - start <= WHOLE_BYTES) return { start, end };
  return { start, end: (Math.floor(start / STEP_BYTES) + 1) * STEP_BYTES };
}

/**
 * Sends a window under a head that has been written, one step in memory at a time. Returns where it stopped for want of
 * memory, or the end of the window.
 * @param first step of the window; like the others it is released when it is sent or the connection gone.
 */
async function sendHeld(
  exchange: Exchange,
  first: PinnedBytes,
  { start, end }: ByteRange,
  hold: Hold,
  patience: TransferAllowance,
): Promise<number> {
  let at = start;
  let held: PinnedBytes | undefined = first;
  exchange.atEnd(() => held?.release());
  for (;;) {
    const { length } = held.bytes;
    at += length;
    exchange.bytesOut += length;
    patience.moved(length);
    exchange.working = false;
    await patience.wait(written(exchange, held.bytes));
    exchange.working = true;
    held.release();
    if (at === end) return at;
    held = await hold(firstStep({ start: at, end }), exchange.signal);
    if (held === undefined) return at;
    // Whoever waited for the end of the answer has been told already.
    if (exchange.signal.aborted) held.release();
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
