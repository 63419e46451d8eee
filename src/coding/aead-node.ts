import { createCipheriv, createDecipheriv } from 'node:crypto';
import { HoldfastError } from '../core/errors.ts';
import { type Aead, TAG_BYTES, ZERO_NONCE } from './aead.ts';

const ALGORITHM = 'chacha20-poly1305';
/** OpenSSL's output is a fresh buffer; small pieces keep it in the cache and out of the heap's way. */
const PIECE = 64 * 1024;

/** OpenSSL through `node:crypto`. */
export const nodeAead: Aead = {
  name: 'node:crypto',
  seal(key, aad, data) {
    const cipher = createCipheriv(ALGORITHM, key, ZERO_NONCE, { authTagLength: TAG_BYTES });
    cipher.setAAD(aad, { plaintextLength: data.length });
    inPieces(data, (piece) => cipher.update(piece));
    cipher.final();
    return new Uint8Array(cipher.getAuthTag());
  },
  open(key, aad, data, tag) {
    if (tag.length !== TAG_BYTES) throw new HoldfastError('Corrupt', 'wrong tag length', { code: 'authentication' });
    const decipher = createDecipheriv(ALGORITHM, key, ZERO_NONCE, { authTagLength: TAG_BYTES });
    decipher.setAAD(aad, { plaintextLength: data.length });
    decipher.setAuthTag(tag);
    inPieces(data, (piece) => decipher.update(piece));
    try {
      decipher.final();
    } catch (cause) {
      throw new HoldfastError('Corrupt', 'authentication failed', { code: 'authentication', cause });
    }
  },
};

function inPieces(data: Uint8Array, transform: (piece: Uint8Array) => Uint8Array): void {
  for (let at = 0; at < data.length; at += PIECE) {
    const piece = data.subarray(at, at + PIECE);
    piece.set(transform(piece));
  }
}
