import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { concatBytes } from '../core/bytes.ts';
import {
  type Aead,
  authenticationFailed,
  checkLengths,
  checkNonce,
  checkTag,
  piecesOf,
  TAG_BYTES,
  ZERO_NONCE,
} from './aead.ts';

/** The reference: audited TypeScript. */
export const portableAead: Aead = {
  name: '@noble/ciphers',
  seal: (key, aad, plain, into = [plain]) => sealWith(key, ZERO_NONCE, aad, plain, into),
  open(key, aad, sealed, tag, into) {
    const pieces = piecesOf(sealed);
    openWith(key, ZERO_NONCE, aad, pieces, tag, into ?? pieces[0]!);
  },
};

/** {@link Aead.seal} under any 12-byte nonce, so that published vectors can be run through it. */
export function sealWith(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plain: Uint8Array,
  into: readonly Uint8Array[] = [plain],
): Uint8Array {
  checkNonce(nonce);
  checkLengths(plain, into);
  const sealed = chacha20poly1305(key, nonce, aad).encrypt(plain);
  let at = 0;
  for (const piece of into) {
    piece.set(sealed.subarray(at, at + piece.length));
    at += piece.length;
  }
  return sealed.slice(-TAG_BYTES);
}

/** {@link Aead.open} under any 12-byte nonce. */
export function openWith(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array | readonly Uint8Array[],
  tag: Uint8Array,
  into: Uint8Array = piecesOf(sealed)[0]!,
): void {
  checkNonce(nonce);
  checkTag(tag);
  const pieces = piecesOf(sealed);
  checkLengths(into, pieces);
  let plain: Uint8Array;
  try {
    plain = chacha20poly1305(key, nonce, aad).decrypt(concatBytes(...pieces, tag));
  } catch (cause) {
    throw authenticationFailed(cause);
  }
  into.set(plain);
}
