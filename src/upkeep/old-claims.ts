import type { AbortOptions } from '../core/abort.ts';
import { claims, type Decided, decidedNow } from '../records/claims.ts';
import type { RecordsContext } from '../records/context.ts';
import { deleteOrQueue } from '../records/deletes.ts';
import { generationOf } from '../records/generation.ts';
import { intendedAmong } from '../records/intents.ts';
import { judgeAnew } from '../records/trash.ts';
import { END_OF_HEADS, Reachable, reach } from './reachable.ts';

/**
 * Judges what waits to be deleted since before the state was recovered: what a manifest or a journal leads to is needed, and
 * stays; the rest is deleted or queued. Where a manifest cannot be read to its end, all waits on.
 * @throws HoldfastError `Aborted`; what the engine throws.
 */
export async function judgeOldClaims(context: RecordsContext, options: AbortOptions = {}): Promise<void> {
  for (let from = 0; from < END_OF_HEADS; ) {
    // Before the names are read: what another recovery changes meanwhile is left to the next.
    const decided = await decidedNow(context);
    if (!(await anyOfBefore(context, decided, options))) return;
    const reachable = new Reachable(from);
    await reach(context, reachable, options);
    reachable.settle();
    if (reachable.unread.size > 0) return;
    const { state } = await generationOf(context).standing(options);
    if (state !== 'confirmed') return;
    const queued = await judgeAnew(
      context,
      decided,
      async (old) => {
        const places = new Set(old.map(({ key }) => key));
        const spoken = await intendedAmong(context, places, options);
        return old.map(({ key, provider, address }) => {
          if (!reachable.covers(address)) return undefined;
          return reachable.holds(provider, address) || spoken.has(key) ? 'stays' : 'goes';
        });
      },
      options,
    );
    const { recoveries } = await decidedNow(context);
    if (recoveries === decided.recoveries) await deleteOrQueue(context, queued, options);
    from = reachable.to;
  }
}

async function anyOfBefore(
  context: RecordsContext,
  { recoveries }: Decided,
  options: AbortOptions,
): Promise<boolean> {
  for await (const { claim } of claims(context, options)) if (claim.recoveries !== recoveries) return true;
  return false;
}
