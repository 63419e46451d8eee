import type { AbortOptions } from '../core/abort.ts';
import type { RecordsContext } from './context.ts';
import type { Fork } from './forks.ts';
import { backUpPointer } from './name-backup.ts';
import { currentChange } from './names.ts';
import { slotsDue } from './slots-due.ts';

/** Entries of each provider tried in one go. */
const MAX_RENEWED = 128;

/** Brings slots up to date whose providers answer again. @returns forks that came to light. */
export async function renewSlots(context: RecordsContext, options: AbortOptions = {}): Promise<Fork[]> {
  const forks: Fork[] = [];
  const table = slotsDue(context);
  const renewAt = async (provider: string): Promise<void> => {
    if (!context.directory.isResponsive(provider)) return;
    const due: (readonly [string, Uint8Array])[] = [];
    const its = { ...options, prefix: `${provider}/`, limit: MAX_RENEWED };
    for await (const entry of table.entries(its)) due.push(entry);
    for (const [key, version] of due) {
      const found = await renew(context, provider, key.slice(provider.length + 1), options);
      if (found === undefined) return;
      forks.push(...found);
      // One that was queued anew meanwhile is for a later version, and stays.
      await table.compareAndSet(key, version, undefined);
    }
  };
  await Promise.all(context.directory.all().map(({ id }) => renewAt(id)));
  return forks;
}

/** Undefined when the provider still does not take it. */
async function renew(
  context: RecordsContext,
  id: string,
  nameKey: string,
  options: AbortOptions,
): Promise<readonly Fork[] | undefined> {
  const change = await currentChange(context, nameKey, options);
  if (change === undefined) return [];
  const provider = context.directory.get(id)!;
  const { copies, forks } = await backUpPointer(context, change, [provider], 1, options);
  return copies > 0 || !provider.adapter.capabilities.supportsSlots ? forks : undefined;
}
