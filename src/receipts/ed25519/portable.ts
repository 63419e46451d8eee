import { ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { concatBytes, equalBytes } from '../../core/bytes.ts';
import { type Ed25519, mayBeValid } from './ed25519.ts';

const { Point } = ed25519;
const ORDER = Point.Fn.ORDER;

/** Noble's points, and a comparison of bytes: its own `verify` multiplies by the cofactor, which is another verdict. */
export const portableEd25519: Ed25519 = {
  name: '@noble/curves',
  verify,
  verifyApart: async (publicKey, message, signature) => verify(publicKey, message, signature),
  signer(seed) {
    if (seed.length !== 32) throw new TypeError('an Ed25519 seed has 32 bytes');
    const secret = Uint8Array.from(seed);
    return { publicKey: ed25519.getPublicKey(secret), sign: (message) => ed25519.sign(message, secret) };
  },
};

function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (!mayBeValid(publicKey, signature)) return false;
  try {
    const a = Point.fromBytes(publicKey);
    const r = signature.subarray(0, 32);
    const h = scalar(sha512(concatBytes(r, publicKey, message))) % ORDER;
    const s = scalar(signature.subarray(32));
    const expected = Point.BASE.multiplyUnsafe(s).add(a.negate().multiplyUnsafe(h));
    return equalBytes(expected.toBytes(), r);
  } catch {
    return false; // no point of the curve
  }
}

function scalar(littleEndian: Uint8Array): bigint {
  let value = 0n;
  for (let i = littleEndian.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(littleEndian[i]!);
  return value;
}
