import type { AbortOptions } from '../core/abort.ts';
import { concatBytes, fromHex, toHex } from '../core/bytes.ts';
import { isHoldfastError } from '../core/errors.ts';
import { openPointer, type Pointer } from '../manifest/pointer.ts';
import type { BlobAdapter, Slot, SlotName } from '../providers/adapter.ts';
import type { RecordsContext } from './context.ts';

/** The slot's content; undefined where there is none, or a damaged one: that may be written over, and hides no other. */
export async function readIfIntact(
  adapter: BlobAdapter,
  slot: SlotName,
  options?: AbortOptions,
): Promise<Slot | undefined> {
  try {
    return await adapter.readSlot(slot, options);
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return undefined;
    throw error;
  }
}

const NAME_KEY_BYTES = 32;

/** Name key ‖ sealed pointer: whoever has the vault's key can open a slot without knowing the name. */
export const slotContent = (nameKey: string, sealed: Uint8Array): Uint8Array =>
  concatBytes(fromHex(nameKey), sealed);

export interface SlotPointer {
  readonly nameKey: string;
  readonly sealed: Uint8Array;
  readonly pointer: Pointer;
}

/** The pointer in a slot; undefined for another vault's, a damaged one, or one for another name than expected. */
export function readSlotContent(
  context: RecordsContext,
  content: Uint8Array,
  expected?: string,
): SlotPointer | undefined {
  const nameKey = toHex(content.subarray(0, NAME_KEY_BYTES));
  const sealed = content.slice(NAME_KEY_BYTES);
  if (expected !== undefined && nameKey !== expected) return undefined;
  try {
    return { nameKey, sealed, pointer: openPointer(sealed, nameKey, context.keys.pointer) };
  } catch {
    return undefined;
  }
}
