import { HoldfastError } from '../../core/errors.ts';
import type { WireAnswer } from './client.ts';

/** The request header for a window of a blob. */
export const rangeHeader = (offset: number, length: number | undefined): Record<string, string> =>
  length === undefined ? {} : { range: `bytes=${offset}-${offset + length - 1}` };

/**
 * The bytes of a window from a 200 or 206 answer. A server that ignores ranges sends everything, of which the
 * window is cut out. Ends early where the blob does; whoever reads counts.
 * @throws Corrupt, code `body_too_long`, when an answer to the range goes on beyond it.
 */
export async function* windowOf(
  answer: WireAnswer,
  offset: number,
  length: number | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (length === undefined) return yield* answer.body;
  const ranged = answer.status === 206;
  let skip = ranged ? checkedStart(answer, offset) : offset;
  let left = length;
  if (ranged && statedLength(answer) > length) throw tooLong(length);
  for await (const piece of answer.body) {
    const part = piece.subarray(Math.min(skip, piece.length), Math.min(piece.length, skip + left));
    if (ranged && part.length < piece.length) throw tooLong(length);
    skip = Math.max(0, skip - piece.length);
    left -= part.length;
    if (part.length > 0) yield part;
    // Where the length was stated, nothing can follow; where it was not, the end must be seen.
    if (left === 0 && (!ranged || statedLength(answer) === length)) break;
  }
}

/** 0 when it is not stated. */
const statedLength = (answer: WireAnswer): number => Number(answer.header('content-length') ?? 0) || 0;

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
  const text = answer.header('content-length') ?? '';
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new HoldfastError('Unavailable', 'the server does not tell the length of the blob', {
    code: 'no_length',
  });
}
