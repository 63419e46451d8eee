import { fromHex, toHex } from './bytes.ts';
import { HoldfastError } from './errors.ts';

declare const brand: unique symbol;

/** `b3:` and 64 lower-case hex digits: the BLAKE3-256 of a blob's bytes, and its only name. */
export type BlobAddress = string & { readonly [brand]: 'BlobAddress' };

export const B3_SCHEME = 'b3';
const PATTERN = /^b3:[0-9a-f]{64}$/;

export const isBlobAddress = (text: string): text is BlobAddress => PATTERN.test(text);

/** @throws HoldfastError `UnsupportedScheme` for another scheme, `Corrupt` for a malformed address. */
export function parseAddress(text: string): BlobAddress {
  if (isBlobAddress(text)) return text;
  const scheme = /^([a-z0-9]+):/.exec(text)?.[1];
  if (scheme !== undefined && scheme !== B3_SCHEME) {
    throw new HoldfastError('UnsupportedScheme', `addresses of scheme "${scheme}" are not understood`, {
      context: { accepted: [B3_SCHEME] },
    });
  }
  throw new HoldfastError('Corrupt', 'not a blob address: expected b3: and 64 lower-case hex digits');
}

/** @param digest 32 bytes. */
export function addressOf(digest: Uint8Array): BlobAddress {
  if (digest.length !== 32) throw new TypeError(`a BLAKE3-256 digest has 32 bytes, not ${digest.length}`);
  return `b3:${toHex(digest)}` as BlobAddress;
}

export const digestOf = (address: BlobAddress): Uint8Array => fromHex(address.slice(3));
