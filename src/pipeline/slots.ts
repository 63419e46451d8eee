import { type AbortOptions, abortable } from '../core/abort.ts';
import { concatBytes, fromHex, toHex } from '../core/bytes.ts';
import { isHoldfastError } from '../core/errors.ts';
import { openPointer, type Pointer } from '../manifest/pointer.ts';
import type { BlobAdapter, Slot, SlotName } from '../providers/adapter.ts';
import type { Provider } from '../providers/provider.ts';
import { Laggards } from './laggards.ts';
import { type NameChange, raiseVersion } from './names.ts';
import type { VaultContext } from './ports.ts';
import { rendezvousOrder } from './rendezvous.ts';
import { POINTER_WRITES } from './stragglers.ts';

/** Another writer's newer pointer may come between; after this many rounds the newer one has it. */
const MAX_ROUNDS = 8;

/**
 * Copies a name's pointer to slots at the providers, from which the engine can be rebuilt. A newer pointer that is
 * already there is left alone if the engine knows of it; if the engine had forgotten the name, this one is given a
 * higher version, or `recover` would bring the older content back.
 * @returns how many providers hold this pointer or a newer one.
 */
export async function backUpPointer(
  context: VaultContext,
  change: NameChange,
  providers: readonly Provider[],
  copies: number,
): Promise<number> {
  let current = change;
  for (let round = 0; ; round++) {
    const { kept, newest } = await copyPointer(context, current, providers, copies);
    if (newest <= current.pointer.version || round === MAX_ROUNDS) return kept;
    const raised = await raiseVersion(context, current, newest + 1);
    if (raised === undefined) return kept;
    current = raised;
  }
}

async function copyPointer(
  context: VaultContext,
  change: NameChange,
  providers: readonly Provider[],
  copies: number,
): Promise<{ readonly kept: number; readonly newest: number }> {
  const slot = context.keys.slotName(change.pointer.name);
  const able = providers.filter((provider) => provider.adapter.capabilities.supportsSlots);
  const byId = new Map(able.map((provider) => [provider.id, provider]));
  let kept = 0;
  let newest = 0;
  const queue = rendezvousOrder(context.blake3, slot, [...byId.keys()]);
  const laggards = new Laggards(context.clock, POINTER_WRITES);
  const write = async (provider: Provider): Promise<number> => {
    const turn = laggards.begin(undefined, 'the copy of a name');
    const started = context.clock.monotonic();
    const writing = writePointer(context, provider, slot, change, turn.signal);
    const version = await abortable(writing, turn.signal).catch(() => 0);
    if (version > 0) turn.progressed(context.clock.monotonic() - started);
    turn.end();
    return version;
  };
  try {
    while (kept < copies && queue.length > 0) {
      const batch = queue.splice(0, copies - kept);
      const written = await Promise.all(batch.map((id) => write(byId.get(id)!)));
      kept += written.filter((version) => version > 0).length;
      newest = Math.max(newest, ...written);
    }
  } finally {
    laggards.close();
  }
  return { kept, newest };
}

/** @returns the version that the slot has now; 0 when the provider did not take it. */
async function writePointer(
  context: VaultContext,
  provider: Provider,
  slot: string,
  change: NameChange,
  signal: AbortSignal,
): Promise<number> {
  const nameKey = context.keys.nameKey(change.pointer.name);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    try {
      const there = await readIfIntact(provider.adapter, slot, { signal });
      const version = there === undefined ? 0 : versionOf(context, there.bytes, nameKey);
      if (version >= change.pointer.version) return version;
      const content = slotContent(nameKey, change.sealed);
      await provider.adapter.writeSlot(slot, content, there?.version, { signal });
      return change.pointer.version;
    } catch (error) {
      if (!isHoldfastError(error, 'Conflict')) return 0;
    }
  }
  return 0;
}

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

/** 0 for what does not open: damaged slots are overwritten. */
function versionOf(context: VaultContext, content: Uint8Array, nameKey: string): number {
  return readSlotContent(context, content, nameKey)?.pointer.version ?? 0;
}

const NAME_KEY_BYTES = 32;

/** Name key ‖ sealed pointer: whoever has the vault's key can open a slot without knowing the name. */
const slotContent = (nameKey: string, sealed: Uint8Array): Uint8Array =>
  concatBytes(fromHex(nameKey), sealed);

export interface SlotPointer {
  readonly nameKey: string;
  readonly sealed: Uint8Array;
  readonly pointer: Pointer;
}

/** The pointer in a slot; undefined for another vault's, a damaged one, or one for another name than expected. */
export function readSlotContent(
  context: VaultContext,
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
