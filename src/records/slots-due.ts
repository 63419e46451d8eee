import type { AbortOptions } from '../core/abort.ts';
import { u64 } from '../core/bytes.ts';
import { writeInBatches } from '../engine/batches.ts';
import type { Table } from '../engine/engine.ts';
import type { RecordsContext } from './context.ts';

/**
 * Slots that lag behind the engine, because their provider did not take the name's pointer when it changed:
 * `<provider>/<name key>` → the version it should have had. Until they are renewed, a recovery that hears of no other
 * provider would bring an older version back, or a name that was removed.
 */
const DUE_TABLE = 'slots_due';

export const slotsDue = ({ engine }: RecordsContext): Table => engine.table(DUE_TABLE);

export async function queueSlots(
  { engine }: RecordsContext,
  providers: readonly string[],
  nameKey: string,
  version: number,
): Promise<void> {
  const value = u64(version);
  const keys = [...new Set(providers)].map((provider) => `${provider}/${nameKey}`);
  await writeInBatches(
    engine,
    keys.map((key) => ({ table: DUE_TABLE, key, value })),
  );
}

/** Name keys that some provider of the configuration is still to be told of. */
export async function namesDue(context: RecordsContext, options: AbortOptions = {}): Promise<Set<string>> {
  const due = new Set<string>();
  for await (const [key] of slotsDue(context).entries(options)) {
    const slash = key.lastIndexOf('/');
    if (context.directory.get(key.slice(0, slash)) !== undefined) due.add(key.slice(slash + 1));
  }
  return due;
}
