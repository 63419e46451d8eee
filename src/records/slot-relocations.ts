import type { BlobAddress } from '../core/address.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import { equalBytes } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';
import type { SigningKey } from '../keys/signing.ts';
import { encodeRelocation, MAX_RELOCATIONS, type RelocationRecord } from '../manifest/relocation.ts';
import {
  decodeRelocationSlot,
  encodeRelocationSlot,
  relocationSlotName,
  type SlotRelocation,
  signedBytes,
} from '../manifest/relocation-slot.ts';
import type { RecordsContext } from './context.ts';
import { storedRelocations } from './relocations.ts';

/** What tells who wrote a slot, and what signs in it. */
interface SlotKeys {
  readonly blake3: Blake3;
  readonly keys: { readonly signing: SigningKey | undefined };
}

/** A relocation that stands in a slot. */
export interface ToldRelocation extends SlotRelocation {
  /** The vault signed it: what it says was recorded once. */
  readonly signed: boolean;
}

/** What a slot's content says of its segment; undefined for what is no slot of relocations, or another's. */
export function readRelocationSlot(
  { blake3, keys }: SlotKeys,
  slot: string,
  content: Uint8Array,
): { readonly segment: BlobAddress; readonly relocations: readonly ToldRelocation[] } | undefined {
  const found = decodeRelocationSlot(blake3, slot, content);
  return (
    found && {
      segment: found.segment,
      relocations: found.relocations.map((one) => ({ ...one, signed: isSigned(keys.signing, slot, one) })),
    }
  );
}

const isSigned = (
  signing: SigningKey | undefined,
  slot: string,
  { bytes, signature }: SlotRelocation,
): boolean =>
  signing !== undefined && signature !== undefined && signing.verifies(signedBytes(slot, bytes), signature);

/** What this state has recorded of a segment, signed where there is a key; newest first. */
export async function ownRelocations(
  { blake3, keys, engine }: Pick<RecordsContext, 'blake3' | 'keys' | 'engine'>,
  segment: BlobAddress,
): Promise<readonly SlotRelocation[]> {
  const slot = relocationSlotName(blake3, segment);
  const { records } = await storedRelocations(engine, segment);
  return records.slice(0, MAX_RELOCATIONS).map((record) => {
    const bytes = encodeRelocation(record);
    return { record, bytes, signature: keys.signing?.sign(signedBytes(slot, bytes)) };
  });
}

/**
 * What a slot is to hold: this state's own relocations first, then what else the vault signed, then hints; each the newest first,
 * as many as there is room for. One whose shards were all moved on since, by a word that counts, is left out.
 * @param there what the slot holds now.
 * @throws HoldfastError `QuotaExceeded` where there is not room for this state's own.
 */
export function unitedSlot(
  context: SlotKeys,
  segment: BlobAddress,
  own: readonly SlotRelocation[],
  there: Uint8Array | undefined,
): Uint8Array {
  const slot = relocationSlotName(context.blake3, segment);
  const held = (there && readRelocationSlot(context, slot, there))?.relocations ?? [];
  const others = held.filter((one) => !own.some(({ bytes }) => equalBytes(bytes, one.bytes)));
  const { signing } = context.keys;
  const signed = others.filter((one) => one.signed);
  const vouched = [...own, ...signed].map(({ record }) => record);
  const isLive = ({ record }: SlotRelocation): boolean => !isSuperseded(record, vouched);
  // A worker without the key keeps the signatures of others, and cannot tell whether they are any.
  const mine = own.map((one) => ({
    ...one,
    signature: one.signature ?? held.find(({ bytes }) => equalBytes(bytes, one.bytes))?.signature,
  }));
  const hints = others
    .filter((one) => !one.signed)
    .map((one) => (signing === undefined ? one : { ...one, signature: undefined }));
  const needed = mine.filter(isLive);
  const all = [...needed, ...byAge(signed.filter(isLive)), ...byAge(hints.filter(isLive))];
  for (let count = Math.min(all.length, MAX_RELOCATIONS); count >= needed.length; count--) {
    const content = encodeRelocationSlot({ segment, relocations: all.slice(0, count) });
    if (content !== undefined) return content;
  }
  throw new HoldfastError('QuotaExceeded', `what was moved of ${segment} is too much for a slot`, {
    status: 'permanent',
  });
}

/** Each of its shards is in a newer one: no shard's first place is by this. */
export const isSuperseded = (one: RelocationRecord, vouched: readonly RelocationRecord[]): boolean => {
  const newer = vouched.filter(({ movedMs }) => movedMs > one.movedMs);
  const moved = new Set(newer.flatMap(({ packs }) => packs.flatMap(({ shards }) => shards)));
  return one.packs.every(({ shards }) => shards.every((at) => moved.has(at)));
};

const byAge = <T extends SlotRelocation>(some: readonly T[]): T[] =>
  [...some].sort((a, b) => b.record.movedMs - a.record.movedMs);
