import type { AbortOptions } from '../core/abort.ts';
import { TRASH_TABLE } from './claims.ts';
import type { RecordsContext } from './context.ts';
import { JOURNAL_TABLE } from './journal.ts';
import { RELOCATION_SLOTS_TABLE } from './relocation-slots.ts';
import { RETIRED_TABLE, retiredVersions } from './retired.ts';
import { DUE_TABLE } from './slots.ts';

/** Records of work that is to be done, by table; of retired versions those that are due. */
export async function countedBacklog(
  context: RecordsContext,
  options: AbortOptions = {},
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  const range = { ...options, onDamaged: () => {} };
  for (const table of [JOURNAL_TABLE, TRASH_TABLE, DUE_TABLE, RELOCATION_SLOTS_TABLE]) {
    let count = 0;
    for await (const _ of context.engine.table(table).entries(range)) count++;
    counts.set(table, count);
  }
  let due = 0;
  for await (const { version } of retiredVersions(context, range)) {
    if (version !== undefined && version.dueMs > context.clock.now()) break;
    if (version !== undefined) due++;
  }
  return counts.set(RETIRED_TABLE, due);
}
