import type { IncomingMessage } from 'node:http';
import { HoldfastError } from '../../core/errors.ts';
import { HttpProblem, tooLarge } from '../message/problem.ts';
import type { TransferAllowance } from '../message/transfer-allowance.ts';

export interface IncomingOptions {
  /** Bytes as they come over the wire. */
  readonly maxBytes: number;
  readonly patience: TransferAllowance;
  readonly onBytes: (count: number) => void;
}

/** The length a request states, undefined when it is chunked. Node's parser has checked the form. */
export function statedLength(request: IncomingMessage): number | undefined {
  if (request.headers['transfer-encoding'] !== undefined) return undefined;
  return Number(request.headers['content-length'] ?? 0);
}

/** @throws HttpProblem 413 when what the request states is over the cap already. */
export function checkStatedLength(request: IncomingMessage, maxBytes: number): void {
  if ((statedLength(request) ?? 0) > maxBytes) throw tooLarge(maxBytes);
}

/**
 * The body of a request as it comes, pulled piece by piece: what is not asked for stays with the sender.
 * @throws HttpProblem 413 over the cap, 400 when it ends early; HoldfastError `Timeout` when it comes too slowly.
 */
export async function* incomingBody(
  request: IncomingMessage,
  { maxBytes, patience, onBytes }: IncomingOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const pieces = request.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>;
  let size = 0;
  try {
    for (;;) {
      const step = await patience.wait(pieces.next());
      if (step.done) break;
      const piece = new Uint8Array(step.value.buffer, step.value.byteOffset, step.value.length);
      size += piece.length;
      patience.moved(piece.length);
      onBytes(piece.length);
      if (size > maxBytes) throw tooLarge(maxBytes);
      yield piece;
    }
  } catch (error) {
    throw error instanceof HttpProblem || error instanceof HoldfastError ? error : cutShort(error);
  } finally {
    // Not waited for: after a timeout a `next` still hangs in front of it.
    pieces.return?.().catch(() => {});
  }
  if (!request.complete) throw cutShort();
}

export const beyondLength = (): HttpProblem =>
  new HttpProblem(400, 'BadRequest', 'the body is longer than its length', { close: true });

export function cutShort(cause?: unknown): HttpProblem {
  return new HttpProblem(400, 'BadRequest', 'the body ended before its length', { close: true, cause });
}
