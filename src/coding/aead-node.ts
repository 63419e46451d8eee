import { createCipheriv, createDecipheriv } from 'node:crypto';
import { type Aead, authenticationFailed, checkNonce, checkTag, TAG_BYTES, ZERO_NONCE } from './aead.ts';

const ALGORITHM = 'chacha20-poly1305';
/** OpenSSL's output is a fresh buffer; small pieces keep it in the cache and out of the heap's way. */
const PIECE = 64 * 1024;

/** OpenSSL through `node:crypto`. */
export const nodeAead: Aead = {
  name: 'node:crypto',
  seal: (key, aad, data) => sealWith(key, ZERO_NONCE, aad, data),
  open: (key, aad, data, tag) => openWith(key, ZERO_NONCE, aad, data, tag),
};

/** {@link Aead.seal} under any 12-byte nonce, so that published vectors can be run through it. */
export function sealWith(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, data: Uint8Array): Uint8Array {
  checkNonce(nonce);
  const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(aad, { plaintextLength: data.length });
  inPieces(data, (piece) => cipher.update(piece));
  cipher.final();
  return new Uint8Array(cipher.getAuthTag());
}

/** {@link Aead.open} under any 12-byte nonce. */
export function openWith(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  data: Uint8Array,
  tag: Uint8Array,
): void {
  checkNonce(nonce);
  checkTag(tag);
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(aad, { plaintextLength: data.length });
  decipher.setAuthTag(tag);
  inPieces(data, (piece) => decipher.update(piece));
  try {
    decipher.final();
  } catch (cause) {
    throw authenticationFailed(cause);
  }
}

function inPieces(data: Uint8Array, transform: (piece: Uint8Array) => Uint8Array): void {
  for (let at = 0; at < data.length; at += PIECE) {
    const piece = data.subarray(at, at + PIECE);
    piece.set(transform(piece));
  }
}
