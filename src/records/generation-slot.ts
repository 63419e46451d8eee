import { concatBytes, fromHex, toHex } from '../core/bytes.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import type { VaultKeys } from '../keys/derivation.ts';
import { seal, unseal } from '../keys/seal.ts';
import { decodeNode, encodeNode } from '../manifest/dag-cbor.ts';
import { Fields } from '../manifest/fields.ts';
import { NODE_VERSION } from '../manifest/limits.ts';
import { type GenerationRecord, type Head, knows } from './generation-record.ts';

/** What a provider keeps of the states that write to a vault. */
export interface GenerationSlot {
  /** Of each line of writing how far it is. */
  readonly heads: readonly Head[];
  /** Ids of journals whose puts some state took for dead, the latest first: what they stored may be gone. */
  readonly condemned: readonly string[];
}

export const NOTHING_WRITTEN: GenerationSlot = { heads: [], condemned: [] };

/** No name may have control characters, so none has this slot. */
export const RESERVED_NAME = '\0generation';
/** Lines of writing that a slot tells apart. A further one is not taken: its writer stays unpublished. */
const MAX_HEADS = 16;
/** Condemned journals that are kept. A put of an earlier one that is still running does not learn of it. */
export const MAX_CONDEMNED = 256;
const JOURNAL_BYTES = 8;
const NAME_KEY_BYTES = 32;

/**
 * What a slot is to hold so that it tells of a state, and of journals that this state condemns.
 * @returns undefined when it holds that already.
 * @throws HoldfastError `Conflict` for one line of writing too many.
 */
export function told(
  held: GenerationSlot,
  record: GenerationRecord | undefined,
  condemned: readonly string[],
): GenerationSlot | undefined {
  const further = condemned.filter((journal) => !held.condemned.includes(journal));
  const own = held.heads.find(({ incarnation }) => incarnation === record?.incarnation);
  const isTold = record === undefined || (own !== undefined && own.counter >= record.counter);
  if (isTold && further.length === 0) return undefined;
  const others = held.heads.filter((head) => !knows(record, head) && head !== own);
  const heads = isTold
    ? held.heads
    : [{ incarnation: record.incarnation, counter: record.counter }, ...others];
  if (heads.length > MAX_HEADS) throw tooManyHeads();
  return { heads, condemned: [...further, ...held.condemned].slice(0, MAX_CONDEMNED) };
}

const tooManyHeads = (): HoldfastError =>
  new HoldfastError('Conflict', 'too many homes have written to this vault since one of them was recovered', {
    status: 'permanent',
    hint: 'Run `holdfast recover` in one of them.',
  });

export function sealSlot(slot: GenerationSlot, keys: VaultKeys, random: RandomBytes): Uint8Array {
  const nameKey = keys.nameKey(RESERVED_NAME);
  const heads = slot.heads.map(({ incarnation, counter }) => ({
    incarnation: fromHex(incarnation),
    counter,
  }));
  const condemned = slot.condemned.map(fromHex);
  const plain = encodeNode({ v: 1, heads, ...(condemned.length > 0 && { condemned }) });
  return concatBytes(fromHex(nameKey), seal(keys.pointer, aadOf(nameKey), plain, random));
}

/** @throws HoldfastError `Corrupt` for what is damaged, or of a later version. */
export function openSlot(content: Uint8Array, keys: VaultKeys): GenerationSlot {
  const aad = aadOf(keys.nameKey(RESERVED_NAME));
  const plain = unseal(keys.pointer, aad, content.subarray(NAME_KEY_BYTES));
  const fields = new Fields(decodeNode(plain), 'generation');
  fields.uint('v', 1, 1);
  const heads = fields.list('heads', MAX_HEADS, headIn);
  const condemned = fields.has('condemned') ? fields.list('condemned', MAX_CONDEMNED, journalIn) : [];
  fields.end();
  return { heads, condemned };
}

/** Nothing but damage is written over: what a later version wrote does not open as damage does. */
export function openSlotUnlessDamaged(content: Uint8Array, keys: VaultKeys): GenerationSlot {
  try {
    return openSlot(content, keys);
  } catch (error) {
    if (isHoldfastError(error) && error.code === 'authentication') return NOTHING_WRITTEN;
    throw error;
  }
}

function headIn(value: unknown): Head {
  const head = new Fields(value, 'generation');
  const [incarnation, counter] = [toHex(head.bytes('incarnation', 16)), head.uint('counter')];
  head.end();
  return { incarnation, counter };
}

function journalIn(value: unknown): string {
  if (value instanceof Uint8Array && value.length === JOURNAL_BYTES) return toHex(value);
  throw new Fields({}, 'generation').bad('condemned', `${JOURNAL_BYTES} bytes each`);
}

const aadOf = (nameKey: string): Uint8Array =>
  concatBytes(Uint8Array.of(NODE_VERSION, 0xfa), fromHex(nameKey));
