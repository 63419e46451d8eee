import { randomBytes as nodeRandomBytes } from 'node:crypto';

/** Randomness as an argument: `length` fresh bytes. */
export type RandomBytes = (length: number) => Uint8Array;

/** Cryptographically secure; the only source that keys, salts and nonces may come from. */
export const secureRandom: RandomBytes = (length) => new Uint8Array(nodeRandomBytes(length));
