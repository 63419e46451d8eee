import type { BlobAddress } from '../core/address.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import { concatBytes, fromHex, toHex, utf8Encode } from '../core/bytes.ts';
import { isHoldfastError } from '../core/errors.ts';
import { Cid } from './cid.ts';
import { decodeNode, encodeNode } from './dag-cbor.ts';
import { Fields } from './fields.ts';
import { decodeRelocation, MAX_RELOCATIONS, type RelocationRecord } from './relocation.ts';

/** A relocation as a slot at a provider has it. Whether its signature is the vault's is not known. */
export interface SlotRelocation {
  readonly record: RelocationRecord;
  /** The record's bytes, which are what is signed. */
  readonly bytes: Uint8Array;
  readonly signature: Uint8Array | undefined;
}

/** What the slot of a segment holds. See `docs/format/relocations.md`. */
export interface RelocationSlot {
  readonly segment: BlobAddress;
  /** At most {@link MAX_RELOCATIONS}. */
  readonly relocations: readonly SlotRelocation[];
}

const SLOT_VERSION = 1;
const MAX_BYTES = 64 * 1024;
const SIGNATURE_BYTES = 64;
const LIMITS = { maxBytes: MAX_BYTES, maxDepth: 4, maxItems: 256 };
const SIGNED = utf8Encode('holdfast 2026-11 relocation signature\0');

/** The slot of a segment's relocations. Whoever knows the segment's address knows it: it takes no key. */
export const relocationSlotName = (blake3: Blake3, segment: BlobAddress): string =>
  toHex(blake3.hash(utf8Encode(`holdfast relocations of ${segment}`)));

/** What a signature is over. */
export const signedBytes = (slot: string, record: Uint8Array): Uint8Array =>
  concatBytes(SIGNED, fromHex(slot), record);

/** @returns undefined when they are too long for a slot together. */
export function encodeRelocationSlot({ segment, relocations }: RelocationSlot): Uint8Array | undefined {
  const bytes = encodeNode({
    version: SLOT_VERSION,
    node: 'relocations',
    segment: new Cid(segment),
    relocations: relocations.map(({ bytes, signature }) =>
      signature === undefined ? [bytes] : [bytes, signature],
    ),
  });
  return bytes.length <= MAX_BYTES ? bytes : undefined;
}

/**
 * A record that is malformed, or of another segment, is left out.
 * @returns undefined for what is no such slot, and for one of a segment that has another slot.
 */
export function decodeRelocationSlot(
  blake3: Blake3,
  slot: string,
  content: Uint8Array,
): RelocationSlot | undefined {
  try {
    const fields = new Fields(decodeNode(content, LIMITS), 'relocations');
    fields.uint('version', SLOT_VERSION, SLOT_VERSION);
    fields.oneOf('node', ['relocations']);
    const segment = fields.cid('segment').address;
    if (relocationSlotName(blake3, segment) !== slot) return undefined;
    const all = fields.list('relocations', MAX_RELOCATIONS, (value) => relocationIn(value, fields));
    fields.end();
    return { segment, relocations: all.filter((one) => one?.record.segment === segment).map((one) => one!) };
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return undefined;
    throw error;
  }
}

function relocationIn(value: unknown, fields: Fields): SlotRelocation | undefined {
  const [bytes, signature] = Array.isArray(value) ? (value as unknown[]) : [];
  const isBytes = bytes instanceof Uint8Array && (value as unknown[]).length <= 2;
  const isSigned = signature instanceof Uint8Array && signature.length === SIGNATURE_BYTES;
  if (!isBytes || (signature !== undefined && !isSigned)) {
    throw fields.bad('relocations', '[record] or [record, 64-byte signature]');
  }
  try {
    return { record: decodeRelocation(bytes), bytes, signature: isSigned ? signature : undefined };
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return undefined;
    throw error;
  }
}
