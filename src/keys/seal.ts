import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { concatBytes } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';

const NONCE_BYTES = 24;
const OVERHEAD = NONCE_BYTES + 16;

/**
 * XChaCha20-Poly1305 with a random 24-byte nonce, for small records: nonce ‖ ciphertext ‖ tag.
 * @param aad what the record is bound to.
 */
export function seal(key: Uint8Array, aad: Uint8Array, plain: Uint8Array, random: RandomBytes): Uint8Array {
  const nonce = random(NONCE_BYTES);
  return concatBytes(nonce, xchacha20poly1305(key, nonce, aad).encrypt(plain));
}

/** @throws HoldfastError `Corrupt`, code `authentication`. */
export function unseal(key: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array {
  if (sealed.length < OVERHEAD) throw failed();
  try {
    return xchacha20poly1305(key, sealed.subarray(0, NONCE_BYTES), aad).decrypt(sealed.subarray(NONCE_BYTES));
  } catch (cause) {
    throw failed(cause);
  }
}

function failed(cause?: unknown): HoldfastError {
  return new HoldfastError('Corrupt', 'authentication failed', { code: 'authentication', cause });
}
