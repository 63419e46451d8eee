import type { BlobAddress } from '../core/address.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import { concatBytes, equalBytes, fromHex } from '../core/bytes.ts';
import type { RandomBytes } from '../core/random.ts';
import { seal, unseal } from '../keys/seal.ts';
import { Cid } from './cid.ts';
import { decodeNode, encodeNode } from './dag-cbor.ts';
import { Fields } from './fields.ts';
import { NODE_VERSION } from './limits.ts';

/** One version of what a name stands for. The highest in the order of {@link comparePointers} wins. */
export interface Pointer {
  readonly name: string;
  /** Counts from 1. */
  readonly version: number;
  /** Undefined: the name was removed at this version. */
  readonly manifest: BlobAddress | undefined;
  /** For listings, so that they open no manifest. */
  readonly size: number;
  readonly createdMs: number;
  /** The incarnation of the state that wrote it, 16 bytes; zeros in format 1. */
  readonly writer: Uint8Array;
  /** The first 16 bytes of the content hashes of up to 16 versions that it follows, the nearest first; none in format 1. */
  readonly ancestors: Uint8Array;
  /** Set in format 1 only: BLAKE3 of the sealed pointer before this one; zeros for the first. */
  readonly previous?: Uint8Array | undefined;
}

const FORMAT = 2;
const WRITER_BYTES = 16;
const ANCESTOR_BYTES = 16;
const MAX_ANCESTORS = 16;

/** @param nameKey the name's opaque key, 64 hex digits; a pointer moved under another name does not open. */
export function sealPointer(
  pointer: Pointer,
  nameKey: string,
  key: Uint8Array,
  random: RandomBytes,
): Uint8Array {
  return seal(key, pointerAad(nameKey), encodePointer(pointer), random);
}

function encodePointer(pointer: Pointer): Uint8Array {
  const { previous, writer, ancestors } = pointer;
  return encodeNode({
    name: pointer.name,
    version: pointer.version,
    manifest: pointer.manifest === undefined ? null : new Cid(pointer.manifest),
    size: pointer.size,
    created_ms: pointer.createdMs,
    ...(previous === undefined ? { v: FORMAT, writer, ancestors } : { previous }),
  });
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
    size: fields.uint('size'),
    createdMs: fields.uint('created_ms'),
    ...(fields.has('v') ? lineage(fields) : { ...UNKNOWN_LINEAGE, previous: fields.bytes('previous', 32) }),
  };
  fields.end();
  return pointer;
}

function lineage(fields: Fields): Pick<Pointer, 'writer' | 'ancestors'> {
  fields.uint('v', FORMAT, FORMAT);
  const writer = fields.bytes('writer', WRITER_BYTES);
  const ancestors = fields.bytes('ancestors');
  if (ancestors.length % ANCESTOR_BYTES !== 0 || ancestors.length > MAX_ANCESTORS * ANCESTOR_BYTES) {
    throw fields.bad('ancestors', `up to ${MAX_ANCESTORS} of ${ANCESTOR_BYTES} bytes`);
  }
  return { writer, ancestors };
}

const UNKNOWN_LINEAGE = { writer: new Uint8Array(WRITER_BYTES), ancestors: new Uint8Array(0) };

const pointerAad = (nameKey: string): Uint8Array =>
  concatBytes(Uint8Array.of(NODE_VERSION, 0xfc), fromHex(nameKey));

/** BLAKE3 of what the pointer says, whatever its sealed bytes. */
export const pointerHash = (blake3: Blake3, pointer: Pointer): Uint8Array =>
  blake3.hash(encodePointer(pointer));

/** A pointer as it was found. */
export interface SealedPointer {
  readonly pointer: Pointer;
  readonly sealed: Uint8Array;
}

/** The one order of the versions of a name, total over all that are not the same: above 0 when `a` is the higher. */
export function comparePointers(blake3: Blake3, a: Pointer, b: Pointer): number {
  if (a.version !== b.version) return a.version - b.version;
  return Buffer.compare(a.writer, b.writer) || Buffer.compare(pointerHash(blake3, a), pointerHash(blake3, b));
}

/** Their ancestors, for a version that follows all of these, the nearest first. */
export function ancestorsFrom(blake3: Blake3, parents: readonly Pointer[]): Uint8Array {
  const hashes = parents.map((parent) => pointerHash(blake3, parent).slice(0, ANCESTOR_BYTES));
  const unique: Uint8Array[] = [];
  for (const hash of [...hashes, ...parents.flatMap(ancestorList)]) {
    if (unique.length < MAX_ANCESTORS && !unique.some((known) => equalBytes(known, hash))) unique.push(hash);
  }
  return concatBytes(...unique);
}

/**
 * What can be shown of an `earlier` version: `follows`: the `later` was made knowing it. `fork`: it was not. `unknown`: the
 * `earlier` lies further back than the ancestors of the `later` reach.
 */
export function relationOf(
  blake3: Blake3,
  later: Pointer,
  { pointer: earlier, sealed }: SealedPointer,
): 'follows' | 'fork' | 'unknown' {
  if (later.version <= earlier.version) return 'fork';
  const distance = later.version - earlier.version;
  if (later.previous !== undefined) {
    if (equalBytes(later.previous, blake3.hash(sealed))) return 'follows';
    return distance === 1 ? 'fork' : 'unknown';
  }
  const hash = pointerHash(blake3, earlier).slice(0, ANCESTOR_BYTES);
  const ancestors = ancestorList(later);
  if (ancestors.some((ancestor) => equalBytes(ancestor, hash))) return 'follows';
  // Of what is within reach the ancestors alone decide: two copies of one state have one writer.
  if (distance <= ancestors.length || ancestors.length === 0) return 'fork';
  return isNamed(later.writer) && equalBytes(later.writer, earlier.writer) ? 'follows' : 'unknown';
}

const isNamed = (writer: Uint8Array): boolean => writer.some((byte) => byte !== 0);

function ancestorList({ ancestors }: Pointer): Uint8Array[] {
  return Array.from({ length: ancestors.length / ANCESTOR_BYTES }, (_, i) =>
    ancestors.slice(i * ANCESTOR_BYTES, (i + 1) * ANCESTOR_BYTES),
  );
}
