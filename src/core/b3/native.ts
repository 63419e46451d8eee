import { createRequire } from 'node:module';
import type { Blake3 } from './blake3.ts';

/** Required, not imported: of CommonJS an import reads every file twice, first to find out what it exports. */
const { Blake3Hasher, blake3 } = createRequire(import.meta.url)(
  '@napi-rs/blake-hash',
) as typeof import('@napi-rs/blake-hash');

const bytes = (buffer: Buffer): Uint8Array => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);

/** The official Rust implementation with the machine's vector instructions; binaries ship inside the package. */
export const nativeBlake3: Blake3 = {
  name: '@napi-rs/blake-hash',
  hash: (data) => bytes(blake3(data)),
  hashParts(parts) {
    const state = new Blake3Hasher();
    for (const part of parts) state.update(part);
    return bytes(state.digestBuffer());
  },
  createHasher() {
    const state = new Blake3Hasher();
    return { update: (data) => void state.update(data), digest: () => bytes(state.digestBuffer()) };
  },
};
