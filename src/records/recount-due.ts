import type { AbortOptions } from '../core/abort.ts';
import type { RecordsContext } from './context.ts';

/** Chores that are due, by name; the value is another whenever one becomes due anew. */
const UPKEEP_TABLE = 'upkeep';
const RECOUNT = 'recount';

/** For whoever finds that somebody ended before what he did was written down. */
export async function recountIsDue({ engine, random }: RecordsContext): Promise<void> {
  await engine.table(UPKEEP_TABLE).put(RECOUNT, random(8));
}

/** What {@link recountDone} takes; undefined when it is not due. */
export function whetherRecountIsDue(
  { engine }: RecordsContext,
  options: AbortOptions,
): Promise<Uint8Array | undefined> {
  return engine.table(UPKEEP_TABLE).get(RECOUNT, options);
}

export async function recountDone({ engine }: RecordsContext, due: Uint8Array): Promise<void> {
  await engine.table(UPKEEP_TABLE).compareAndSet(RECOUNT, due, undefined);
}
