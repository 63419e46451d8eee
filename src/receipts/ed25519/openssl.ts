import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { concatBytes } from '../../core/bytes.ts';
import { type Ed25519, mayBeValid } from './ed25519.ts';

/** A reader has one key for an hour, and reads more than once. */
const MAX_KEYS = 4_096;
/** PKCS #8 (RFC 8410) of a seed. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** OpenSSL, by way of Node. It compares bytes of R and refuses S ≥ L itself, and takes any encoding of A. */
export function createOpensslEd25519(): Ed25519 {
  const keys = new Map<string, KeyObject>();

  const keyOf = (publicKey: Uint8Array): KeyObject => {
    // A JWK takes a twentieth of the time that DER takes.
    const x = Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.length).toString('base64url');
    const known = keys.get(x);
    if (known !== undefined) return known;
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    if (keys.size >= MAX_KEYS) keys.delete(keys.keys().next().value!);
    keys.set(x, key);
    return key;
  };

  const verdict: Ed25519['verify'] = (publicKey, message, signature) => {
    if (!mayBeValid(publicKey, signature)) return false;
    try {
      return verify(null, message, keyOf(publicKey), signature);
    } catch {
      return false; // no point of the curve
    }
  };

  return {
    name: 'OpenSSL',
    verify: verdict,
    verifyApart: (publicKey, message, signature) =>
      new Promise((resolve) => {
        if (!mayBeValid(publicKey, signature)) return resolve(false);
        try {
          verify(null, message, keyOf(publicKey), signature, (error, valid) =>
            resolve(error === null && valid),
          );
        } catch {
          resolve(false);
        }
      }),
    signer(seed) {
      if (seed.length !== 32) throw new TypeError('an Ed25519 seed has 32 bytes');
      const der = Buffer.from(concatBytes(PKCS8, seed));
      const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
      const { x } = createPublicKey(key).export({ format: 'jwk' });
      return {
        publicKey: new Uint8Array(Buffer.from(x!, 'base64url')),
        sign: (message) => new Uint8Array(sign(null, message, key)),
      };
    },
  };
}
