import type { IncomingMessage } from 'node:http';
import { concatBytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import type { Exchange } from './exchange.ts';
import { HttpProblem, tooLarge } from './problem.ts';
import {
  type AllowanceLimits,
  createTransferAllowance,
  type TransferAllowance,
  tooSlow,
} from './slow-peers.ts';

interface IncomingOptions {
  /** Bytes as they come over the wire. */
  readonly maxBytes: number;
  readonly allowance: TransferAllowance;
  readonly onBytes: (count: number) => void;
}

/** The length that a request states; undefined when it is chunked. Node's parser has checked the form. */
export function statedLength(request: IncomingMessage): number | undefined {
  if (request.headers['transfer-encoding'] !== undefined) return undefined;
  return Number(request.headers['content-length'] ?? 0);
}

/** @throws HttpProblem 413 when what the request states is over the cap already. */
export function checkStatedLength(request: IncomingMessage, maxBytes: number): void {
  if ((statedLength(request) ?? 0) > maxBytes) throw tooLarge(maxBytes);
}

/**
 * Pulls the body of a request piece by piece: what nobody asks for stays with the sender.
 * @throws HttpProblem 413 over the cap, 400 when it ends early; HoldfastError `Timeout` when it comes too slowly.
 */
export async function* incomingBody(
  request: IncomingMessage,
  { maxBytes, allowance, onBytes }: IncomingOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const pieces = request.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>;
  let size = 0;
  try {
    for (;;) {
      const step = await allowance.wait(pieces.next());
      if (step.done) break;
      const piece = new Uint8Array(step.value.buffer, step.value.byteOffset, step.value.length);
      size += piece.length;
      allowance.moved(piece.length);
      onBytes(piece.length);
      if (size > maxBytes) throw tooLarge(maxBytes);
      yield piece;
    }
  } catch (error) {
    throw error instanceof HttpProblem || error instanceof HoldfastError ? error : cutShort(error);
  } finally {
    // Nobody waits for this: after a timeout a `next` still hangs in front of it.
    pieces.return?.().catch(() => {});
  }
  if (!request.complete) throw cutShort();
}

/** The whole of a short body. @throws as {@link incomingBody}; HttpProblem 415 for one with a content coding. */
export async function wholeBody(
  exchange: Exchange,
  maxBytes: number,
  clock: Clock,
  limits: AllowanceLimits,
): Promise<Uint8Array> {
  const { request } = exchange;
  if (request.headers['content-encoding'] !== undefined)
    throw new HttpProblem(415, 'UnsupportedMediaType', 'send the body without a content coding');
  checkStatedLength(request, maxBytes);
  exchange.invite();
  const onBytes = (count: number): void => {
    exchange.bytesIn += count;
  };
  const pieces: Uint8Array[] = [];
  const allowance = createTransferAllowance(clock, limits);
  for await (const piece of incomingBody(request, { maxBytes, allowance, onBytes })) pieces.push(piece);
  return concatBytes(...pieces);
}

const beyondLength = (): HttpProblem =>
  new HttpProblem(400, 'BadRequest', 'the body is longer than its length', { close: true });

export function cutShort(cause?: unknown): HttpProblem {
  return new HttpProblem(400, 'BadRequest', 'the body ended before its length', { close: true, cause });
}

interface GatherOptions {
  readonly clock: Clock;
  readonly allowance: AllowanceLimits;
}

/**
 * Copies a whole body of stated length into memory of that length. For bodies short enough to be kept this costs much
 * less than pulling them piece by piece.
 * @throws HttpProblem 400 when it has another length; HoldfastError `Timeout` when it comes too slowly.
 */
export function gatherBody(
  exchange: Exchange,
  into: Uint8Array,
  { clock, allowance }: GatherOptions,
): Promise<void> {
  const { request } = exchange;
  if (request.destroyed) return Promise.reject(cutShort());
  const start = clock.monotonic();
  let size = 0;
  const deadline = (): number => start + allowance.graceMs + (1000 * size) / allowance.minBytesPerSecond;
  exchange.invite();
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      unwatch();
      request.off('data', take).off('end', ended).off('error', failed).off('close', ended);
      if (error === undefined) resolve();
      else reject(error);
    };
    const take = (piece: Buffer): void => {
      exchange.bytesIn += piece.length;
      // The length comes from a header and the body from a parser: the two need not agree.
      if (size + piece.length > into.length) {
        request.pause();
        settle(beyondLength());
        return;
      }
      into.set(piece, size);
      size += piece.length;
    };
    const ended = (): void => settle(request.complete && size === into.length ? undefined : cutShort());
    const failed = (error: Error): void => settle(cutShort(error));
    const unwatch = exchange.slow.watch(deadline, () => {
      request.pause();
      settle(tooSlow());
    });
    request.on('data', take).once('end', ended).once('error', failed).once('close', ended);
  });
}
