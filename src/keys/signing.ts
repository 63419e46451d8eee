import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { concatBytes, fromHex } from '../core/bytes.ts';

/** Ed25519 (RFC 8032): what the vault wrote, whoever kept it since. */
export interface SigningKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** @returns 64 bytes, the same for the same message. */
  sign(message: Uint8Array): Uint8Array;
  verifies(message: Uint8Array, signature: Uint8Array): boolean;
}

/** PKCS #8 (RFC 8410) of an Ed25519 key, up to its 32 bytes. */
const PKCS8 = fromHex('302e020100300506032b657004220420');

/** @param seed 32 bytes. */
export function signingKeyOf(seed: Uint8Array): SigningKey {
  const key = createPrivateKey({
    key: Buffer.from(concatBytes(PKCS8, seed)),
    format: 'der',
    type: 'pkcs8',
  });
  const open = createPublicKey(key);
  return {
    publicKey: new Uint8Array(Buffer.from(open.export({ format: 'jwk' }).x!, 'base64url')),
    sign: (message) => new Uint8Array(sign(null, message, key)),
    verifies: (message, signature) => verify(null, message, open, signature),
  };
}
