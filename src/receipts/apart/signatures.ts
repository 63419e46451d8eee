import { byteLength } from '../../core/bytes.ts';
import type { Ed25519 } from '../ed25519/ed25519.ts';

/** A signature to be checked. */
export interface Check {
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** Lengths of the three, four bytes each. */
const HEAD_BYTES = 12;

/** Many in one buffer, that a thread is given for its own. */
export function packChecks(checks: readonly Check[]): Uint8Array<ArrayBuffer> {
  const parts = checks.map(({ publicKey, message, signature }) => [publicKey, signature, message]);
  const packed = new Uint8Array(parts.reduce((sum, three) => sum + HEAD_BYTES + byteLength(three), 0));
  const view = new DataView(packed.buffer);
  let at = 0;
  for (const three of parts) {
    for (const part of three) {
      view.setUint32(at, part.length);
      at += 4;
    }
    for (const part of three) {
      packed.set(part, at);
      at += part.length;
    }
  }
  return packed;
}

/** One byte for each of those packed: 1 where it is valid. */
export function checkPacked(
  packed: Uint8Array,
  { verify }: Pick<Ed25519, 'verify'>,
): Uint8Array<ArrayBuffer> {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  const verdicts: number[] = [];
  for (let at = 0; at < packed.length; ) {
    const lengths = [view.getUint32(at), view.getUint32(at + 4), view.getUint32(at + 8)];
    at += HEAD_BYTES;
    const [publicKey, signature, message] = lengths.map((length) => {
      at += length;
      return packed.subarray(at - length, at);
    }) as [Uint8Array, Uint8Array, Uint8Array];
    verdicts.push(verify(publicKey, message, signature) ? 1 : 0);
  }
  return Uint8Array.from(verdicts);
}
