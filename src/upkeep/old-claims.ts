import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { claims, type Decided, decidedNow } from '../records/claims.ts';
import type { RecordsContext } from '../records/context.ts';
import { deleteOrQueue } from '../records/deletes.ts';
import { isForkName } from '../records/forks.ts';
import { generationOf } from '../records/generation.ts';
import { intendedAmong } from '../records/intents.ts';
import { judgeAnew } from '../records/trash.ts';
import { END_OF_HEADS, Reachable, reach, standingNames } from './reachable.ts';
import { remainsOf, Unread } from './remains.ts';
import { hasLostItsName } from './unnamed.ts';

/**
 * Judges what waits to be deleted since before the state was recovered: what a manifest or a journal leads to is needed, and
 * stays; the rest is deleted or queued. Where a manifest cannot be read to its end, all waits on, but for one of which the rest
 * is gone and that no name stands for, or none but the name of a fork: another home has deleted it.
 * @throws HoldfastError `Aborted`; what the engine throws.
 */
export async function judgeOldClaims(context: RecordsContext, options: AbortOptions = {}): Promise<void> {
  for (let from = 0; from < END_OF_HEADS; ) {
    // Before the names are read: what another recovery changes meanwhile is left to the next.
    const decided = await decidedNow(context);
    if (!(await anyOfBefore(context, decided, options))) return;
    const reachable = new Reachable(from);
    await reach(context, reachable, options);
    await reachRemains(context, reachable, options);
    reachable.settle();
    if (reachable.unread.size > 0) return;
    const { state } = await generationOf(context).standing(options);
    if (state !== 'confirmed') return;
    const queued = await judgeAnew(
      context,
      decided,
      async (old) => {
        const places = new Set(old.map(({ key }) => key));
        const spoken = await intendedAmong(context, places, { ...options, passDamaged: true });
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

/** What is there still of versions that another home was deleting while this state had not heard of it. */
async function reachRemains(
  context: RecordsContext,
  reachable: Reachable,
  options: AbortOptions,
): Promise<void> {
  for (const manifest of reachable.unread.keys()) {
    try {
      const { block, packs, nodes } = await remainsOf(context, manifest, { ...options, withoutLost: false });
      // Where the root is gone too, no name can be read in it.
      const isNeeded =
        block === undefined
          ? await isNamedNow(context, manifest, options)
          : !(await hasLostItsName(context, manifest, options));
      if (isNeeded) continue;
      for (const { provider, address } of packs) reachable.addPack(provider, address);
      for (const address of [manifest, ...nodes.flat()]) reachable.addNode(address);
      reachable.unread.delete(manifest);
    } catch (error) {
      if (!(error instanceof Unread)) throw error;
    }
  }
}

async function isNamedNow(
  context: RecordsContext,
  manifest: BlobAddress,
  options: AbortOptions,
): Promise<boolean> {
  for await (const named of standingNames(context, options)) {
    if (named.manifest === manifest && !isForkName(named.name, manifest)) return true;
  }
  return false;
}
