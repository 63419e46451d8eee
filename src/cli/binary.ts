import { HoldfastError } from '../core/errors.ts';

/** As much of the beginning tells what it is. */
const LOOK_AT = 8192;
/** A character of UTF-8 that the end cuts through has at most so many bytes before it. */
const MAX_CUT = 3;

/** Whether bytes are no text: a terminal would take some of them for commands. */
export function isBinary(piece: Uint8Array): boolean {
  const head = piece.subarray(0, LOOK_AT);
  if (head.includes(0)) return true;
  for (let cut = 0; cut <= Math.min(MAX_CUT, head.length); cut++) {
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(head.subarray(0, head.length - cut));
      return false;
    } catch {
      // Perhaps the last character is cut off.
    }
  }
  return true;
}

export const binaryToTerminal = (): HoldfastError =>
  new HoldfastError('ConfigInvalid', 'this is no text, and it would go to the terminal', {
    code: 'binary_to_terminal',
    hint: 'Write it to a file with -o FILE, pipe it on, or insist with -o -.',
  });
