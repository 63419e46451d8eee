import type { BlobAddress } from '../../core/address.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { Driver } from '../driver.ts';
import { collect, Filler } from '../pieces.ts';
import type { WireAnswer } from './answer.ts';

/** The request header for a window of a blob. */
export const rangeHeader = (offset: number, length: number | undefined): Record<string, string> =>
  length === undefined ? {} : { range: `bytes=${offset}-${offset + length - 1}` };

/**
 * The bytes of a window from a 200 or 206 answer. A server that ignores ranges sends everything, of which the
 * window is cut out. Ends early where the blob does; the reader counts.
 * @throws Corrupt, code `body_too_long`, when an answer to the range goes on beyond it.
 */
async function* windowOf(
  answer: WireAnswer,
  offset: number,
  length: number | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (length === undefined) return yield* answer.body;
  const window = new BlobWindow(answer, offset, length);
  for await (const piece of answer.body) {
    const part = window.cut(piece);
    if (part.length > 0) yield part;
    if (window.complete) break;
  }
}

/** The same, copied over buffers of `length` bytes in all. Once this settles, they are at rest. */
async function fillWindow(
  answer: WireAnswer,
  offset: number,
  length: number,
  into: readonly Uint8Array[],
): Promise<void> {
  const window = new BlobWindow(answer, offset, length);
  const filler = new Filler(into);
  await answer.drain((piece) => {
    filler.take(window.cut(piece));
    return !window.complete;
  });
  filler.end();
}

/** Cuts a window out of what a server sends. */
class BlobWindow {
  readonly #length: number;
  readonly #ranged: boolean;
  #skip: number;
  #left: number;

  /** @throws Unavailable, code `wrong_range`; Corrupt, code `body_too_long`, when more is announced. */
  constructor(answer: WireAnswer, offset: number, length: number) {
    this.#length = length;
    this.#left = length;
    this.#ranged = answer.status === 206;
    this.#skip = this.#ranged ? checkedStart(answer, offset) : offset;
    if (this.#ranged && (statedLength(answer) ?? 0) > length) throw tooLong(length);
  }

  cut(piece: Uint8Array): Uint8Array {
    const from = Math.min(this.#skip, piece.length);
    const part = piece.subarray(from, Math.min(piece.length, this.#skip + this.#left));
    if (this.#ranged && part.length < piece.length) throw tooLong(this.#length);
    this.#skip -= from;
    this.#left -= part.length;
    return part;
  }

  /** What follows is not of the window. After a range nothing may follow, and that is looked at. */
  get complete(): boolean {
    return this.#left === 0 && !this.#ranged;
  }
}

/** Undefined when it is not stated. */
function statedLength(answer: WireAnswer): number | undefined {
  const text = answer.header('content-length') ?? '';
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function tooLong(length: number): HoldfastError {
  return new HoldfastError('Corrupt', `more bytes came than the ${length} that were asked for`, {
    code: 'body_too_long',
  });
}

/** 0 when the answer starts where it was asked to. */
function checkedStart(answer: WireAnswer, offset: number): number {
  const start = /^bytes (\d+)-/.exec(answer.header('content-range') ?? '')?.[1];
  if (Number(start) === offset) return 0;
  throw new HoldfastError('Unavailable', 'the server sent another range than was asked for', {
    code: 'wrong_range',
  });
}

/** The length that an answer states. @throws Unavailable when it states none. */
export function lengthOf(answer: WireAnswer): number {
  const length = statedLength(answer);
  if (length !== undefined) return length;
  throw new HoldfastError('Unavailable', 'the server does not tell the length of the blob', {
    code: 'no_length',
  });
}

/** Asks for a window of a blob, or for all of it. The answer may be one to the range, or the whole blob. */
export type OpenBlobWindow = (
  address: BlobAddress,
  offset: number,
  length: number | undefined,
  signal: AbortSignal | undefined,
) => Promise<WireAnswer>;

/** The part of a driver that reads. */
export function wireReads(open: OpenBlobWindow): Pick<Driver, 'fetch' | 'fetchRange' | 'read'> {
  const read: Driver['read'] = async function* (address, offset, length, signal, onSize) {
    const answer = await open(address, offset, length, signal);
    const size = length === undefined ? statedLength(answer) : undefined;
    if (size !== undefined) onSize?.(size);
    yield* windowOf(answer, offset, length);
  };
  return {
    read,
    fetch: (address, maxBytes, signal) => collect(read(address, 0, undefined, signal), maxBytes),
    fetchRange: async (address, offset, into, length, signal) =>
      fillWindow(await open(address, offset, length, signal), offset, length, into),
  };
}
