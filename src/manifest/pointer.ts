import type { BlobAddress } from '../core/address.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import { concatBytes, fromHex } from '../core/bytes.ts';
import type { RandomBytes } from '../core/random.ts';
import { seal, unseal } from '../keys/seal.ts';
import { Cid } from './cid.ts';
import { decodeNode, encodeNode } from './dag-cbor.ts';
import { Fields } from './fields.ts';
import { NODE_VERSION } from './limits.ts';

/** One version of what a name stands for. The highest valid version wins. */
export interface Pointer {
  readonly name: string;
  /** Counts from 1. */
  readonly version: number;
  /** Undefined: the name was removed at this version. */
  readonly manifest: BlobAddress | undefined;
  /** BLAKE3 of the sealed pointer before this one; zeros for the first. */
  readonly previous: Uint8Array;
  /** For listings, so that they open no manifest. */
  readonly size: number;
  readonly createdMs: number;
}

/** @param nameKey the name's opaque key, 64 hex digits; a pointer moved under another name does not open. */
export function sealPointer(
  pointer: Pointer,
  nameKey: string,
  key: Uint8Array,
  random: RandomBytes,
): Uint8Array {
  const plain = encodeNode({
    name: pointer.name,
    version: pointer.version,
    manifest: pointer.manifest === undefined ? null : new Cid(pointer.manifest),
    previous: pointer.previous,
    size: pointer.size,
    created_ms: pointer.createdMs,
  });
  return seal(key, pointerAad(nameKey), plain, random);
}

/** @throws HoldfastError `Corrupt` */
export function openPointer(sealed: Uint8Array, nameKey: string, key: Uint8Array): Pointer {
  const fields = new Fields(decodeNode(unseal(key, pointerAad(nameKey), sealed)), 'pointer');
  const manifest = fields.take('manifest');
  if (manifest !== null && !(manifest instanceof Cid)) throw fields.bad('manifest', 'a link or null');
  const pointer: Pointer = {
    name: fields.text('name'),
    version: fields.uint('version', Number.MAX_SAFE_INTEGER, 1),
    manifest: manifest?.address,
    previous: fields.bytes('previous', 32),
    size: fields.uint('size'),
    createdMs: fields.uint('created_ms'),
  };
  fields.end();
  return pointer;
}

export const pointerHash = (blake3: Blake3, sealed: Uint8Array | undefined): Uint8Array =>
  sealed === undefined ? new Uint8Array(32) : blake3.hash(sealed);

const pointerAad = (nameKey: string): Uint8Array =>
  concatBytes(Uint8Array.of(NODE_VERSION, 0xfc), fromHex(nameKey));
