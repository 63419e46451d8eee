import type { Sodium } from 'libsodium';
import { byteLength } from '../core/bytes.ts';
import {
  type Aead,
  authenticationFailed,
  checkLengths,
  checkNonce,
  checkTag,
  KEY_BYTES,
  piecesOf,
  TAG_BYTES,
  ZERO_NONCE,
} from './aead.ts';

/** Under any 12-byte nonce, so that published vectors can be run through it. */
export interface SodiumAead extends Aead {
  sealWith(
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    plain: Uint8Array,
    into?: readonly Uint8Array[],
  ): Uint8Array;
  openWith(
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    sealed: Uint8Array | readonly Uint8Array[],
    tag: Uint8Array,
    into?: Uint8Array,
  ): void;
}

/** libsodium in WebAssembly, for where native code is off or absent. It works on a copy in memory of its own. */
export async function createSodiumAead(): Promise<SodiumAead> {
  const { default: load } = await import('libsodium');
  const sodium = await load();
  const desk = new Desk(sodium);

  const sealWith: SodiumAead['sealWith'] = (key, nonce, aad, plain, into = [plain]) => {
    checkNonce(nonce);
    checkLengths(plain, into);
    const at = desk.lay(key, nonce, aad, [plain]);
    const text = [at.data, at.tag, 0, at.data, plain.length, 0];
    sodium._crypto_aead_chacha20poly1305_ietf_encrypt_detached(
      ...text,
      ...[at.aad, aad.length, 0],
      ...[0, at.nonce, at.key],
    );
    let from = at.data;
    for (const piece of into) {
      piece.set(sodium.HEAPU8.subarray(from, from + piece.length));
      from += piece.length;
    }
    return sodium.HEAPU8.slice(at.tag, at.tag + TAG_BYTES);
  };

  const openWith: SodiumAead['openWith'] = (key, nonce, aad, sealed, tag, into = piecesOf(sealed)[0]!) => {
    checkNonce(nonce);
    checkTag(tag);
    const pieces = piecesOf(sealed);
    checkLengths(into, pieces);
    const at = desk.lay(key, nonce, aad, pieces, tag);
    const failed = sodium._crypto_aead_chacha20poly1305_ietf_decrypt_detached(
      ...[at.data, 0, at.data, into.length, 0, at.tag],
      ...[at.aad, aad.length, 0],
      ...[at.nonce, at.key],
    );
    if (failed !== 0) throw authenticationFailed();
    into.set(sodium.HEAPU8.subarray(at.data, at.data + into.length));
  };

  return {
    name: 'libsodium',
    seal: (key, aad, plain, into) => sealWith(key, ZERO_NONCE, aad, plain, into),
    open: (key, aad, sealed, tag, into) => openWith(key, ZERO_NONCE, aad, sealed, tag, into),
    sealWith,
    openWith,
  };
}

interface Places {
  readonly key: number;
  readonly nonce: number;
  readonly tag: number;
  readonly aad: number;
  readonly data: number;
}

/** Where a message lies in libsodium's memory while it is worked on; as large as the largest one so far. */
class Desk {
  readonly #sodium: Sodium;
  #at = 0;
  #bytes = 0;

  constructor(sodium: Sodium) {
    this.#sodium = sodium;
  }

  lay(
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    data: readonly Uint8Array[],
    tag: Uint8Array = new Uint8Array(TAG_BYTES),
  ): Places {
    if (key.length !== KEY_BYTES) throw new TypeError(`a key has ${KEY_BYTES} bytes, not ${key.length}`);
    const fixed = [key, nonce, tag, aad];
    const at: number[] = [];
    let length = 0;
    for (const part of fixed) {
      at.push(length);
      length += (part.length + 15) & ~15;
    }
    this.#reserve(length + byteLength(data));
    const heap = this.#sodium.HEAPU8;
    for (const [i, part] of fixed.entries()) heap.set(part, this.#at + at[i]!);
    let to = this.#at + length;
    for (const piece of data) {
      heap.set(piece, to);
      to += piece.length;
    }
    const [keyAt, nonceAt, tagAt, aadAt] = at.map((offset) => this.#at + offset) as [
      number,
      number,
      number,
      number,
    ];
    return { key: keyAt, nonce: nonceAt, tag: tagAt, aad: aadAt, data: this.#at + length };
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#bytes) return;
    if (this.#at !== 0) this.#sodium._free(this.#at);
    this.#bytes = 0;
    this.#at = this.#sodium._malloc(bytes);
    if (this.#at === 0) throw new RangeError(`no memory for a message of ${bytes} bytes`);
    this.#bytes = bytes;
  }
}
