import { randomFillSync } from 'node:crypto';
import { MIB } from './numbers.ts';

const STEP = 4096;

/**
 * That many bytes, made as they are asked for and held nowhere: random ones, of which every piece differs from all
 * before in every 4 KiB.
 */
export async function* generated(bytes: number): AsyncGenerator<Uint8Array> {
  const piece = randomFillSync(new Uint8Array(MIB));
  const words = new DataView(piece.buffer);
  let turn = 0;
  for (let left = bytes; left > 0; left -= piece.length) {
    for (let at = 0; at < piece.length; at += STEP) words.setUint32(at, turn);
    turn++;
    yield piece.subarray(0, Math.min(left, piece.length));
  }
}
