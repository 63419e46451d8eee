import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import { isHoldfastError } from '../core/errors.ts';
import { openPointer } from '../manifest/pointer.ts';
import { openRoot } from '../manifest/root.ts';
import { DamageLog } from './damage.ts';
import { rememberRoot } from './manifests.ts';
import { NAMES_TABLE } from './names.ts';
import { fetchNode } from './nodes.ts';
import type { VaultContext } from './ports.ts';
import { readIfIntact, readSlotContent, type SlotPointer } from './slots.ts';

export interface RecoverResult {
  readonly names: number;
  readonly manifests: number;
  /** Names whose manifest no provider has. */
  readonly lost: readonly string[];
  /** Providers that could not be asked. */
  readonly unreachable: readonly string[];
}

/**
 * Rebuilds names and manifests from the pointers in the providers' slots, with nothing but the vault's key. The
 * highest valid version of a name wins, and a newer one that the engine already has is kept.
 */
export async function recoverVault(
  context: VaultContext,
  options: AbortOptions = {},
): Promise<RecoverResult> {
  const { best, unreachable } = await collectPointers(context, options);
  const table = context.engine.table(NAMES_TABLE);
  const lost: string[] = [];
  let manifests = 0;
  for (const [nameKey, { sealed, pointer }] of best) {
    throwIfAborted(options.signal, 'recover');
    const current = await table.get(nameKey, options);
    const known = current === undefined ? 0 : openPointer(current, nameKey, context.keys.pointer).version;
    if (pointer.version > known) await table.compareAndSet(nameKey, current, sealed, { sync: true });
    if (pointer.manifest === undefined) continue;
    try {
      const bytes = await fetchNode(context, pointer.manifest, new DamageLog(), options.signal);
      openRoot(bytes, context.keys.wrap, context.blake3);
      await rememberRoot(context, bytes, pointer.createdMs, options);
      manifests++;
    } catch (error) {
      if (isHoldfastError(error, 'Aborted')) throw error;
      lost.push(pointer.name);
    }
  }
  const names = [...best.values()].filter(({ pointer }) => pointer.manifest !== undefined).length;
  return { names, manifests, lost, unreachable };
}

async function collectPointers(
  context: VaultContext,
  options: AbortOptions,
): Promise<{ best: Map<string, SlotPointer>; unreachable: string[] }> {
  const best = new Map<string, SlotPointer>();
  const unreachable: string[] = [];
  for (const { id, adapter } of context.directory.all()) {
    if (!adapter.capabilities.supportsSlots) continue;
    try {
      for await (const slot of adapter.listSlots(options)) {
        const content = await readIfIntact(adapter, slot, options);
        const found = content === undefined ? undefined : readSlotContent(context, content.bytes);
        if (found === undefined) continue;
        const known = best.get(found.nameKey);
        if (known === undefined || known.pointer.version < found.pointer.version)
          best.set(found.nameKey, found);
      }
    } catch (error) {
      throwIfAborted(options.signal, 'recover');
      if (!isHoldfastError(error)) throw error;
      unreachable.push(id);
    }
  }
  return { best, unreachable };
}
