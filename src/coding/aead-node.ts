import { createCipheriv, createDecipheriv } from 'node:crypto';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import {
  type Aead,
  authenticationFailed,
  checkLengths,
  checkNonce,
  checkTag,
  piecesOf,
  TAG_BYTES,
  ZERO_NONCE,
} from './aead.ts';

const ALGORITHM = 'chacha20-poly1305';
/** OpenSSL's output is a fresh buffer each time. One that is given back at once is the next, and still in the cache. */
const PIECE = 64 * 1024;
/** Nobody is at the other end. */
const nowhere = closedPort();

/** OpenSSL through `node:crypto`. */
export const nodeAead: Aead = {
  name: 'node:crypto',
  seal: (key, aad, plain, into = [plain]) => sealWith(key, ZERO_NONCE, aad, plain, into),
  open(key, aad, sealed, tag, into) {
    const pieces = piecesOf(sealed);
    openWith(key, ZERO_NONCE, aad, pieces, tag, into ?? pieces[0]!);
  },
};

/**
 * {@link Aead.seal} under any 12-byte nonce, so that published vectors can be run through it.
 * @internal Tests compare the twins.
 */
export function sealWith(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plain: Uint8Array,
  into: readonly Uint8Array[] = [plain],
): Uint8Array {
  checkNonce(nonce);
  checkLengths(plain, into);
  const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(aad, { plaintextLength: plain.length });
  for (const [from, to] of aligned(plain, into)) move(cipher.update(from), to);
  cipher.final();
  return new Uint8Array(cipher.getAuthTag());
}

/**
 * {@link Aead.open} under any 12-byte nonce.
 * @internal Tests compare the twins.
 */
export function openWith(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array | readonly Uint8Array[],
  tag: Uint8Array,
  into: Uint8Array = piecesOf(sealed)[0]!,
): void {
  checkNonce(nonce);
  checkTag(tag);
  const pieces = piecesOf(sealed);
  checkLengths(into, pieces);
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(aad, { plaintextLength: into.length });
  decipher.setAuthTag(tag);
  for (const [to, from] of aligned(into, pieces)) move(decipher.update(from), to);
  try {
    decipher.final();
  } catch (cause) {
    throw authenticationFailed(cause);
  }
}

/** Walks a run of bytes beside its pieces, at most {@link PIECE} bytes a step. */
function* aligned(whole: Uint8Array, pieces: readonly Uint8Array[]): Generator<[Uint8Array, Uint8Array]> {
  let at = 0;
  for (const piece of pieces) {
    for (let within = 0; within < piece.length; within += PIECE) {
      const part = piece.subarray(within, within + PIECE);
      yield [whole.subarray(at, at + part.length), part];
      at += part.length;
    }
  }
}

/**
 * Copies the bytes and gives their memory back at once, for a message takes the buffers it transfers with it. Left to
 * the collector they would be tens of megabytes that are never in use together, and each page of them costs a fault.
 */
function move(from: Buffer, to: Uint8Array): void {
  to.set(from);
  nowhere.postMessage(undefined, [from.buffer as ArrayBuffer]);
}

function closedPort(): MessagePort {
  const { port1 } = new MessageChannel();
  port1.close();
  return port1;
}
