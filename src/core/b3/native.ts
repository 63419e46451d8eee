import { Blake3Hasher, blake3 } from '@napi-rs/blake-hash';
import type { Blake3 } from './blake3.ts';

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
  keyedHash: (key, data) => bytes(Blake3Hasher.newKeyed(Buffer.from(key)).update(data).digestBuffer()),
  deriveKey: (context, material) => bytes(Blake3Hasher.newDeriveKey(context).update(material).digestBuffer()),
  createHasher() {
    const state = new Blake3Hasher();
    return { update: (data) => void state.update(data), digest: () => bytes(state.digestBuffer()) };
  },
};
