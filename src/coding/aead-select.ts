import type { Acceleration } from '../core/acceleration.ts';
import { type OnUnfit, WRONG_BYTES } from '../core/acceleration.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import { countingBytes, toHex } from '../core/bytes.ts';
import { isHoldfastError } from '../core/errors.ts';
import type { Aead } from './aead.ts';

/** The fastest implementation that loads here and gives the right bytes. @param onUnfit told of those that do not. */
export async function selectAead(
  acceleration: Acceleration,
  blake3: Blake3,
  onUnfit?: OnUnfit,
): Promise<Aead> {
  if (acceleration.native) {
    const { nodeAead } = await import('./aead-node.ts');
    if (isRight(nodeAead, blake3)) return nodeAead;
    onUnfit?.('chacha20-poly1305', nodeAead.name, WRONG_BYTES);
  }
  return selectPortable(acceleration, blake3, onUnfit);
}

/** What checks the work of the one in use: another implementation, where there is one. */
export async function secondAead(first: Aead, acceleration: Acceleration, blake3: Blake3): Promise<Aead> {
  const second = await selectPortable(acceleration, blake3);
  return second.name === first.name ? (await import('./aead-portable.ts')).portableAead : second;
}

async function selectPortable(acceleration: Acceleration, blake3: Blake3, onUnfit?: OnUnfit): Promise<Aead> {
  if (acceleration.wasm) {
    const sodium = await (await import('./aead-sodium.ts')).createSodiumAead();
    if (isRight(sodium, blake3)) return sodium;
    onUnfit?.('chacha20-poly1305', sodium.name, WRONG_BYTES);
  }
  return (await import('./aead-portable.ts')).portableAead;
}

function isRight(aead: Aead, blake3: Blake3): boolean {
  try {
    return sealsRight(aead, blake3);
  } catch {
    return false;
  }
}

/**
 * BLAKE3 of ciphertext ‖ tag for the first so many bytes of 0, 1 … 250, 0, 1 …, under {@link KEY} and {@link AAD}.
 * Lengths stand where a code path begins or ends: blocks of 64 bytes, runs of them, and the pieces of
 * 64 KiB that we cut ourselves. A test compares them with the portable one.
 * @internal Tests compare it with the reference.
 */
export const KNOWN_SEALED: readonly (readonly [length: number, digest: string])[] = [
  [0, 'cf01f95c0388cc8c6cf1634eb1b80f91db0ffc8cd07edff818727458437e71ff'],
  [1, '999c07bb9b659f6783e3bab5c695b460f5d55f9f35c6601ae9bc2474bf57e5f3'],
  [64, '302b1328c40220c49b70938c43d5bcaf69df906c4659da5b6c139ee88d31d0bf'],
  [65, 'f09396cd881ca5d35bce4be0fe2bb08507d94070229ad4df14c0a304218111ce'],
  [257, '525946d394687c5a3741e12bb93fa99681470fdea6f5b7a31b158b5c1bac3bbf'],
  [1023, '14478487b2f9ba1020d158be280ed6a7ede3344941ddaa38ec95d91d4ed361b7'],
  [1024, '0c62749cc43caf6bda56944df738926efc33fd9972857e61227e9fb9f10381a3'],
  [1025, 'e583e46dd179294599e62491982ed4b56f43d21111f0b131973f78c312f64394'],
  [4096, '8bbf4cfa759ba68064a7a5b0dba73aa1c606f2d0603fb5b0a48226a8a8b22770'],
  [65_537, '714c77bd854d18e9fb06d77d441e56d240318375abbe443e273edc78d9828b19'],
];

/** @internal Tests compare it with the reference. */
export const KEY: Uint8Array = Uint8Array.from({ length: 32 }, (_, i) => i);
/**
 * As long as a chunk's.
 * @internal Tests compare it with the reference.
 */
export const AAD: Uint8Array = Uint8Array.from({ length: 35 }, (_, i) => 200 - i);

/** The length that is also opened with a wrong tag. */
const REFUSED = 1025;

/**
 * Whether an implementation seals and opens as it should, and refuses what was changed. It costs about a millisecond.
 * @internal Tests give it implementations that are wrong.
 */
export function sealsRight(aead: Aead, blake3: Blake3): boolean {
  const input = countingBytes(KNOWN_SEALED.at(-1)![0], 251);
  return KNOWN_SEALED.every(([length, digest]) => {
    const plain = input.subarray(0, length);
    const sealed = new Uint8Array(length);
    // In pieces, as shards are.
    const pieces = [sealed.subarray(0, length >> 1), sealed.subarray(length >> 1)];
    const tag = aead.seal(KEY, AAD, plain, pieces);
    if (toHex(blake3.hashParts([sealed, tag])) !== digest) return false;
    const opened = new Uint8Array(length);
    aead.open(KEY, AAD, pieces, tag, opened);
    if (Buffer.compare(opened, plain) !== 0) return false;
    return length !== REFUSED || refuses(aead, sealed, tag);
  });
}

function refuses(aead: Aead, sealed: Uint8Array, tag: Uint8Array): boolean {
  const wrong = tag.slice();
  wrong[15]! ^= 1;
  try {
    aead.open(KEY, AAD, [sealed], wrong, new Uint8Array(sealed.length));
    return false;
  } catch (error) {
    return isHoldfastError(error) && error.code === 'authentication';
  }
}
