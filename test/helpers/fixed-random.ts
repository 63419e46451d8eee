import { blake3 } from '@noble/hashes/blake3.js';
import type { RandomBytes } from '../../src/core/random.ts';

/** The same bytes in the same order every time, for pinned vectors and repeatable properties. */
export function fixedRandom(seed: string): RandomBytes {
  let drawn = 0;
  return (length) => blake3(Buffer.from(`${seed} ${drawn++}`), { dkLen: length });
}
