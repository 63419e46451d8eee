import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { concatBytes } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';
import { type Aead, TAG_BYTES, ZERO_NONCE } from './aead.ts';

/** The reference: audited TypeScript. */
export const portableAead: Aead = {
  name: '@noble/ciphers',
  seal(key, aad, data) {
    const sealed = chacha20poly1305(key, ZERO_NONCE, aad).encrypt(data);
    data.set(sealed.subarray(0, data.length));
    return sealed.slice(-TAG_BYTES);
  },
  open(key, aad, data, tag) {
    let plain: Uint8Array;
    try {
      plain = chacha20poly1305(key, ZERO_NONCE, aad).decrypt(concatBytes(data, tag));
    } catch (cause) {
      throw new HoldfastError('Corrupt', 'authentication failed', { code: 'authentication', cause });
    }
    data.set(plain);
  },
};
