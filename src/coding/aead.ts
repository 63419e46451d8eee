import { HoldfastError } from '../core/errors.ts';

/**
 * ChaCha20-Poly1305 (RFC 8439) in place, with the all-zero nonce: every key seals exactly one message, ever.
 * The data may lie in shared memory.
 */
export interface Aead {
  readonly name: string;
  /** Encrypts `data` in place. @param key 32 bytes. @returns the 16-byte tag. */
  seal(key: Uint8Array, aad: Uint8Array, data: Uint8Array): Uint8Array;
  /**
   * Authenticates and decrypts `data` in place.
   * @throws HoldfastError `Corrupt`, code `authentication`; the data is then garbage and must not be used.
   */
  open(key: Uint8Array, aad: Uint8Array, data: Uint8Array, tag: Uint8Array): void;
}

export const TAG_BYTES: number = 16;
export const KEY_BYTES: number = 32;
export const ZERO_NONCE: Uint8Array = new Uint8Array(12);

/** @throws TypeError RFC 8439 knows nonces of 12 bytes only; OpenSSL would take shorter ones. */
export function checkNonce(nonce: Uint8Array): void {
  if (nonce.length !== ZERO_NONCE.length) throw new TypeError(`a nonce has 12 bytes, not ${nonce.length}`);
}

/** @throws HoldfastError `Corrupt`, code `authentication`, for a tag that was cut. */
export function checkTag(tag: Uint8Array): void {
  if (tag.length !== TAG_BYTES) throw authenticationFailed();
}

export function authenticationFailed(cause?: unknown): HoldfastError {
  return new HoldfastError('Corrupt', 'authentication failed', { code: 'authentication', cause });
}
