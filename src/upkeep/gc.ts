import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import type { RecordsContext } from '../records/context.ts';
import type { LeasingContext } from '../records/repair-leases.ts';
import { dropTombstones } from '../records/tombstones.ts';
import type { UpkeepContext } from './context.ts';
import { ForeignSlots } from './foreign-slots.ts';
import { NamelessObjects } from './nameless.ts';
import { judgeOldClaims } from './old-claims.ts';
import { OrphanSearch, type ProviderOrphans } from './orphans.ts';
import { END_OF_HEADS, Reachable, reach } from './reachable.ts';

export interface GcOptions extends AbortOptions {
  /** Deletes nothing and finishes nothing; says what would be judged. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Blobs that are younger, by what the provider says, stay. Default: 24 hours. */
  readonly minAgeMs?: number | undefined;
  /** Keep puts that were cut off and can be taken up again, as other commands do. Default false: they are ended. */
  readonly keepUnfinished?: boolean | undefined;
  /** Called as blobs are listed, with their number so far. */
  readonly onProgress?: ((listed: number) => void) | undefined;
}

interface ScrubOptions extends GcOptions {
  /** How long removals are remembered. Default: for ever. */
  readonly tombstoneMs?: number | undefined;
}

export interface GcResult {
  readonly dryRun: boolean;
  /** Names whose removal every provider has heard of for long: they are forgotten now. */
  readonly forgotten: number;
  /** Objects without a name that a recovered state did not know of: they are in the list of manifests again. */
  readonly remembered: number;
  readonly providers: readonly ProviderOrphans[];
  /** Some of the manifests that could not be read to their end; while there are any, nothing is deleted. */
  readonly unread: readonly BlobAddress[];
}

export const MIN_AGE_MS: number = 24 * 3_600_000;
/** Manifests that are told. */
const MAX_TOLD = 16;

/**
 * Finds blobs that nothing leads to, by listing every provider, and deletes those that are old enough, where the place is
 * this vault's own and this state is the latest; elsewhere it only counts them. Safe beside puts of other processes. A
 * provider that fails is a result, not an error.
 * Before that, removals are forgotten that are remembered for long enough, and after a recovery objects without a name are
 * looked for, which the state alone had known.
 * @throws HoldfastError `Aborted`; what the engine throws.
 */
export async function scrubProviders(
  context: UpkeepContext & LeasingContext,
  options: ScrubOptions = {},
): Promise<GcResult> {
  const { dryRun = false, minAgeMs = MIN_AGE_MS, tombstoneMs, onProgress, signal } = options;
  const forgets = !dryRun && tombstoneMs !== undefined;
  const { dropped: forgotten } = forgets
    ? await dropTombstones(context, tombstoneMs, { signal })
    : { dropped: 0 };
  if (!dryRun) await judgeOldClaims(context, { signal });
  const foreign = new ForeignSlots(context);
  let listed = 0;
  const onListed = (): void => onProgress?.(++listed);
  const nameless = await findNameless(context, foreign, { signal });
  const search = { dryRun, minAgeMs, unlisted: nameless.incomplete, signal, onListed };
  const providers = context.directory.all();
  const searches = providers.map((provider) => new OrphanSearch(context, provider, foreign, search));
  const unread = new Set<BlobAddress>();
  for (let from = 0; from < END_OF_HEADS; ) {
    const reachable = await reachFrom(context, from, { signal });
    await Promise.all(searches.map((search) => search.part(reachable)));
    await Promise.all(searches.map((search) => search.dropSlots(reachable)));
    from = reachable.to;
    for (const manifest of reachable.unread.keys()) if (unread.size < MAX_TOLD) unread.add(manifest);
  }
  return {
    dryRun,
    forgotten,
    remembered: nameless.remembered,
    providers: searches.map(({ result }) => result),
    unread: [...unread],
  };
}

async function reachFrom(context: RecordsContext, from: number, options: AbortOptions): Promise<Reachable> {
  const reachable = new Reachable(from);
  await reach(context, reachable, options);
  // One that was being removed meanwhile is gone now.
  if (reachable.unread.size > 0) {
    reachable.unread.clear();
    await reach(context, reachable, options);
  }
  reachable.settle();
  return reachable;
}

/** All of them, before anything is judged: a pack may come before the root that leads to it. */
async function findNameless(
  context: UpkeepContext & LeasingContext,
  foreign: ForeignSlots,
  options: AbortOptions,
): Promise<{ readonly remembered: number; readonly incomplete: boolean }> {
  const nameless = await NamelessObjects.due(context, foreign, options);
  if (nameless === undefined) return { remembered: 0, incomplete: false };
  for (let from = 0; from < END_OF_HEADS; ) {
    const reachable = await reachFrom(context, from, options);
    await nameless.lookThrough(reachable);
    from = reachable.to;
  }
  await nameless.done();
  return nameless;
}
