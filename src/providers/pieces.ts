import { abortable, throwIfAborted } from '../core/abort.ts';
import { HoldfastError } from '../core/errors.ts';
import { rangeBeyondEnd } from './guard.ts';

/** Small tools over streams of byte pieces. */

/** No piece of a `fetchStream` is longer. */
export const MAX_PIECE_BYTES: number = 1024 * 1024;

/**
 * The same pieces, but a `next()` that hangs is left behind when the signal fires. The source is told to stop when
 * the reader stops or fails; that is not waited for if the source hangs, since it would never answer.
 */
export async function* interruptible<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal | undefined,
  operation: string,
): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  let busy = false;
  let done = false;
  try {
    for (;;) {
      throwIfAborted(signal, operation);
      busy = true;
      const next = Promise.resolve(iterator.next()).finally(() => {
        busy = false;
      });
      const step = await abortable(next, signal, operation);
      if (step.done) {
        done = true;
        return;
      }
      yield step.value;
    }
  } finally {
    const told = done ? undefined : Promise.resolve(iterator.return?.()).catch(() => {});
    if (!busy) await told;
  }
}

/** Cuts long pieces to {@link MAX_PIECE_BYTES} and drops empty ones. */
export function* slices(piece: Uint8Array): Generator<Uint8Array, void, undefined> {
  for (let at = 0; at < piece.length; at += MAX_PIECE_BYTES) yield piece.subarray(at, at + MAX_PIECE_BYTES);
}

/** @throws RangeNotSatisfiable as soon as more than `maxBytes` have arrived. */
export async function collect(source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of source) {
    size += piece.length;
    if (size > maxBytes) throw overFetchLimit(maxBytes);
    pieces.push(piece);
  }
  return join(pieces, size);
}

/** @param size sum of the lengths of `pieces`, of which there may be very many. */
export function join(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const out = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

/** Copies a stream over the buffers. Only ever writes synchronously: once this settles, the buffers are at rest. */
export async function fill(
  source: AsyncIterable<Uint8Array>,
  into: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<void> {
  let index = 0;
  let at = 0;
  let total = 0;
  for await (const piece of source) {
    throwIfAborted(signal);
    let taken = 0;
    while (taken < piece.length) {
      while (index < into.length && at === into[index]!.length) {
        index++;
        at = 0;
      }
      const target = into[index];
      if (target === undefined) throw wrongLength('more bytes came than were asked for');
      const part = piece.subarray(taken, taken + target.length - at);
      target.set(part, at);
      at += part.length;
      taken += part.length;
    }
    total += piece.length;
  }
  let wanted = 0;
  for (const target of into) wanted += target.length;
  if (total < wanted) throw rangeBeyondEnd(0, wanted, total);
}

export function overFetchLimit(maxBytes: number): HoldfastError {
  return new HoldfastError('RangeNotSatisfiable', `the blob has more than the ${maxBytes} bytes asked for`, {
    code: 'over_max_bytes',
    context: { maxBytes },
  });
}

export function wrongLength(message: string): HoldfastError {
  return new HoldfastError('Unavailable', message, { code: 'wrong_length' });
}
