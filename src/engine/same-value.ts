import { equalBytes } from '../core/bytes.ts';

/** Undefined stands for "no entry", which differs from an empty value. */
export function sameValue(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return equalBytes(a, b);
}
