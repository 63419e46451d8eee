/**
 * Ed25519 (RFC 8032) with one verdict, docs/format/receipt.md, "Signatures". Implementations differ in speed only: for
 * what the RFC leaves open, each lets {@link mayBeValid} decide first.
 */
export interface Ed25519 {
  readonly name: string;
  /** Whether the signature is valid. Whatever it is given, it throws nothing. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** The same, on another thread where there are any. Nothing given may change meanwhile. */
  verifyApart(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean>;
  /** @param seed 32 bytes. */
  signer(seed: Uint8Array): Signer;
}

export interface Signer {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** @returns 64 bytes, always the same for the same message. */
  sign(message: Uint8Array): Uint8Array;
}

const PUBLIC_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

const littleEndian = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

/** L, the order of the base point. */
const ORDER = littleEndian('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010');
/** p = 2²⁵⁵ − 19. */
const PRIME = littleEndian('edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f');
/** The y coordinates of the eight points of small order: 1, −1, 0, and the two of order eight. */
const SMALL_ORDER = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
].map(littleEndian);

/**
 * Rules 1 to 3 of the verdict, as far as bytes can tell: lengths, S below L, and A and R encoded canonically and of no small
 * order. A point with x = 0 is of small order, so that its sign needs no rule of its own. What is left is the equation.
 */
export function mayBeValid(publicKey: Uint8Array, signature: Uint8Array): boolean {
  return (
    publicKey.length === PUBLIC_KEY_BYTES &&
    signature.length === SIGNATURE_BYTES &&
    isBelow(signature, 32, ORDER, 0xff) &&
    isPointToUse(publicKey, 0) &&
    isPointToUse(signature, 0)
  );
}

/** The highest bit of an encoding is the sign of x; the others are y. */
const isPointToUse = (bytes: Uint8Array, at: number): boolean =>
  isBelow(bytes, at, PRIME, 0x7f) && !SMALL_ORDER.some((y) => isY(bytes, at, y));

function isY(bytes: Uint8Array, at: number, y: Uint8Array): boolean {
  for (let i = 0; i < 31; i++) if (bytes[at + i] !== y[i]) return false;
  return (bytes[at + 31]! & 0x7f) === y[31];
}

/** @param topMask which bits of the highest byte count. */
function isBelow(bytes: Uint8Array, at: number, limit: Uint8Array, topMask: number): boolean {
  for (let i = 31; i >= 0; i--) {
    const byte = i === 31 ? bytes[at + i]! & topMask : bytes[at + i]!;
    if (byte !== limit[i]) return byte < limit[i]!;
  }
  return false;
}
