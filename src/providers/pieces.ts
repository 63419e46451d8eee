import { abortable, throwIfAborted } from '../core/abort.ts';
import { byteLength } from '../core/bytes.ts';
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

/** Copies pieces over buffers, in order. */
export class Filler {
  readonly #into: readonly Uint8Array[];
  #index = 0;
  /** In the buffer that is being filled. */
  #at = 0;
  #total = 0;

  constructor(into: readonly Uint8Array[]) {
    this.#into = into;
  }

  /** @throws Unavailable, code `wrong_length`, when there is no room for all of it. */
  take(piece: Uint8Array): void {
    let taken = 0;
    while (taken < piece.length) {
      const target = this.#target();
      const part = piece.subarray(taken, taken + target.length - this.#at);
      copyInto(target, this.#at, part);
      this.#at += part.length;
      taken += part.length;
    }
    this.#total += taken;
  }

  /** @throws RangeNotSatisfiable when the buffers are not full. */
  end(): void {
    const wanted = byteLength(this.#into);
    if (this.#total < wanted) throw rangeBeyondEnd(0, wanted, this.#total);
  }

  #target(): Uint8Array {
    for (; this.#index < this.#into.length; this.#index++, this.#at = 0) {
      const target = this.#into[this.#index]!;
      if (this.#at < target.length) return target;
    }
    throw wrongLength('more bytes came than were asked for');
  }
}

/**
 * Copies a piece over `target` from `at` on. To shared memory typed arrays copy byte by byte where both are not aligned
 * alike, as with what comes from a socket; filling with a buffer is one `memcpy`.
 */
function copyInto(target: Uint8Array, at: number, { buffer, byteOffset, length }: Uint8Array): void {
  if (length === 0) return;
  const piece = Buffer.from(buffer, byteOffset, length);
  Buffer.from(target.buffer, target.byteOffset, target.length).fill(piece, at, at + length);
}

/** Copies a stream over the buffers. Only ever writes synchronously: once this settles, the buffers are at rest. */
export async function fill(
  source: AsyncIterable<Uint8Array>,
  into: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const filler = new Filler(into);
  for await (const piece of source) {
    throwIfAborted(signal);
    filler.take(piece);
  }
  filler.end();
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
