import { setImmediate as nextTurn } from 'node:timers/promises';
import { addressOf, type BlobAddress } from '../core/address.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import { emptyDigests, pieceBytesFor, setDigest } from './proof.ts';

/** Hashed at a time: a quarter of a millisecond or so, twice. A multiple of every grid's pieces. */
const TURN_BYTES = 1024 * 1024;

/** A blob's address and the hashes of its pieces, in one pass; others are served in between. */
export async function digestsOf(
  bytes: Uint8Array,
  blake3: Blake3,
): Promise<{ readonly address: BlobAddress; readonly digests: Uint8Array }> {
  const size = bytes.length;
  const pieceBytes = pieceBytesFor(size);
  const digests = emptyDigests(size);
  const whole = blake3.createHasher();
  for (let from = 0; from < size; from += TURN_BYTES) {
    if (from > 0) await nextTurn();
    const part = bytes.subarray(from, from + TURN_BYTES);
    whole.update(part);
    for (let at = 0; at < part.length; at += pieceBytes) {
      setDigest(digests, (from + at) / pieceBytes, blake3.hash(part.subarray(at, at + pieceBytes)));
    }
  }
  return { address: addressOf(whole.digest()), digests };
}
