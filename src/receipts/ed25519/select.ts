import type { Acceleration } from '../../core/acceleration.ts';
import { type OnUnfit, WRONG_BYTES } from '../../core/acceleration.ts';
import { fromHex } from '../../core/bytes.ts';
import type { Ed25519 } from './ed25519.ts';
import { createOpensslEd25519 } from './openssl.ts';

/** The fastest implementation that is right here. @param onUnfit told of one that is not. */
export async function selectEd25519(acceleration: Acceleration, onUnfit?: OnUnfit): Promise<Ed25519> {
  if (acceleration.native) {
    const openssl = createOpensslEd25519();
    if (isRight(openssl)) return openssl;
    onUnfit?.('ed25519', openssl.name, WRONG_BYTES);
  }
  return (await import('./portable.ts')).portableEd25519;
}

/** The second test of RFC 8032, section 7.1: a message of one byte. */
const KNOWN = {
  seed: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
  publicKey: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
  message: '72',
  signature:
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da' +
    '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
};

function isRight({ verify }: Ed25519): boolean {
  const publicKey = fromHex(KNOWN.publicKey);
  const message = fromHex(KNOWN.message);
  const signature = fromHex(KNOWN.signature);
  if (!verify(publicKey, message, signature)) return false;
  signature[63]! ^= 1;
  return !verify(publicKey, message, signature);
}
