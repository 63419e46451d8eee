import { blake3 } from '@noble/hashes/blake3.js';
import { utf8Encode } from '../core/bytes.ts';

/**
 * BLAKE3 in its two modes that take secrets, by the portable library only: no native code ever sees a root, an object
 * key or what is derived from them, but for the single-use key of a chunk that it is given to encrypt.
 */

/** @param context a fixed, application-unique string. @returns a 32-byte subkey. */
export const deriveKey = (context: string, material: Uint8Array): Uint8Array =>
  blake3(material, { context: utf8Encode(context) });

/** @param key 32 bytes. @returns 32 bytes. */
export const keyedHash = (key: Uint8Array, data: Uint8Array): Uint8Array => blake3(data, { key });
