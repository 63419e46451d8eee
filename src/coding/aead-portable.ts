import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { concatBytes } from '../core/bytes.ts';
import { type Aead, authenticationFailed, checkNonce, checkTag, TAG_BYTES, ZERO_NONCE } from './aead.ts';

/** The reference: audited TypeScript. */
export const portableAead: Aead = {
  name: '@noble/ciphers',
  seal: (key, aad, data) => sealWith(key, ZERO_NONCE, aad, data),
  open: (key, aad, data, tag) => openWith(key, ZERO_NONCE, aad, data, tag),
};

/** {@link Aead.seal} under any 12-byte nonce, so that published vectors can be run through it. */
export function sealWith(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, data: Uint8Array): Uint8Array {
  checkNonce(nonce);
  const sealed = chacha20poly1305(key, nonce, aad).encrypt(data);
  data.set(sealed.subarray(0, data.length));
  return sealed.slice(-TAG_BYTES);
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
  let plain: Uint8Array;
  try {
    plain = chacha20poly1305(key, nonce, aad).decrypt(concatBytes(data, tag));
  } catch (cause) {
    throw authenticationFailed(cause);
  }
  data.set(plain);
}
