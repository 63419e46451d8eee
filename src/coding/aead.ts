import { byteLength } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';

/**
 * ChaCha20-Poly1305 (RFC 8439) with the all-zero nonce: every key seals exactly one message, ever. The data may lie in
 * shared memory. Bytes are processed from the front, so source and target may overlap as long as no byte is written
 * before it was read.
 */
export interface Aead {
  readonly name: string;
  /**
   * Encrypts `plain` into the consecutive pieces of `into`, which are as long together.
   * @param key 32 bytes.
   * @param into default: in place.
   * @returns the 16-byte tag.
   */
  seal(key: Uint8Array, aad: Uint8Array, plain: Uint8Array, into?: readonly Uint8Array[]): Uint8Array;
  /**
   * Authenticates and decrypts the consecutive pieces of `sealed` into `into`, which is as long as they together.
   * @param into default: in place, for a single piece.
   * @throws HoldfastError `Corrupt`, code `authentication`; the target is then garbage and must not be used.
   */
  open(
    key: Uint8Array,
    aad: Uint8Array,
    sealed: Uint8Array | readonly Uint8Array[],
    tag: Uint8Array,
    into?: Uint8Array,
  ): void;
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

export const piecesOf = (sealed: Uint8Array | readonly Uint8Array[]): readonly Uint8Array[] =>
  sealed instanceof Uint8Array ? [sealed] : sealed;

/** @throws TypeError when a run of bytes and the pieces it goes to or comes from differ in length. */
export function checkLengths(whole: Uint8Array, pieces: readonly Uint8Array[]): void {
  const total = byteLength(pieces);
  if (whole.length !== total) throw new TypeError(`${whole.length} bytes do not fit pieces of ${total}`);
}
