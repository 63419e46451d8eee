import { addressOf, type BlobAddress, digestOf } from '../../core/address.ts';

/**
 * A blob's address as a CID and back, so no table is kept: version 1, codec raw (0x55), multihash BLAKE3 (0x1e) of
 * 32 bytes, in base32 (github.com/multiformats/cid, RFC 4648 section 6 without padding).
 */
const HEAD: readonly number[] = [0x01, 0x55, 0x1e, 0x20];
const DIGITS = 'abcdefghijklmnopqrstuvwxyz234567';
const CID = /^b[a-z2-7]{58}$/;

export function cidOf(address: BlobAddress): string {
  let out = 'b';
  let held = 0;
  let bits = 0;
  for (const byte of [...HEAD, ...digestOf(address)]) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += DIGITS[(held >> bits) & 31];
    }
    held &= (1 << bits) - 1;
  }
  return bits === 0 ? out : out + DIGITS[(held << (5 - bits)) & 31];
}

/** Undefined for a CID of any other kind. */
export function addressOfCid(cid: string): BlobAddress | undefined {
  if (!CID.test(cid)) return undefined;
  const bytes: number[] = [];
  let held = 0;
  let bits = 0;
  for (const digit of cid.slice(1)) {
    held = (held << 5) | DIGITS.indexOf(digit);
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push(held >> bits);
    held &= (1 << bits) - 1;
  }
  // Bits left over must be zero, or two texts would spell one address.
  if (held !== 0 || HEAD.some((byte, i) => bytes[i] !== byte)) return undefined;
  return addressOf(Uint8Array.from(bytes.slice(HEAD.length)));
}
