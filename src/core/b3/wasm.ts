import { createDeriveKey, createHasher, createKeyed, hash } from 'blake3-jit';
import type { Blake3 } from './blake3.ts';

/** WebAssembly SIMD, no install step: the fast path where native code is off or absent. */
export const wasmBlake3: Blake3 = {
  name: 'blake3-jit',
  hash: (data) => hash(data),
  keyedHash: (key, data) => createKeyed(key).update(data).finalize(),
  deriveKey: (context, material) => createDeriveKey(context).update(material).finalize(),
  createHasher() {
    const state = createHasher();
    return { update: (data) => void state.update(data), digest: () => state.finalize() };
  },
};
