import { blake3 } from '@noble/hashes/blake3.js';
import type { Blake3 } from './blake3.ts';

/** The reference: audited TypeScript, no WebAssembly, no native code. */
export const portableBlake3: Blake3 = {
  name: '@noble/hashes',
  hash: (data) => blake3(data),
  hashParts(parts) {
    const state = blake3.create();
    for (const part of parts) state.update(part);
    return state.digest();
  },
  createHasher() {
    const state = blake3.create();
    return { update: (data) => void state.update(data), digest: () => state.clone().digest() };
  },
};
