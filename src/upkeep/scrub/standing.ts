import type { AbortOptions } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import type { SegmentView } from '../../object/places.ts';
import { relocate } from '../../object/relocations.ts';
import { claimedAmong } from '../../records/claims.ts';
import type { RecordsContext } from '../../records/context.ts';
import type { FoundDamage } from '../../records/damage.ts';
import { knowsManifest } from '../../records/manifests.ts';
import { isRetired } from '../../records/retired.ts';
import { packsInUse } from './pack-check.ts';

/**
 * What of findings is damage still, now that it was found: not what was being deleted, nor shards that were moved meanwhile.
 * Whoever deletes claims the place first, and whoever moves says first where to.
 * @param findings all of one manifest.
 * @param viewOf the segment of a finding; undefined for manifest nodes.
 */
export async function stillDamaged(
  context: RecordsContext,
  manifest: BlobAddress,
  findings: readonly FoundDamage[],
  viewOf: (segment: BlobAddress) => SegmentView | undefined,
  options: AbortOptions,
): Promise<FoundDamage[]> {
  if (findings.length === 0) return [];
  if (await isRetired(context, manifest, options)) return [];
  if (!(await knowsManifest(context, manifest))) return [];
  const places = findings.map(placeOf);
  const claimed = new Set(await claimedAmong(context, places, options));
  const left = findings.filter((found) => !claimed.has(placeOf(found)));
  const relocationsOf = await context.relocations.open({ ...options, fresh: true });
  if (relocationsOf === undefined) return left;
  const standing: FoundDamage[] = [];
  for (const found of left) {
    const view = found.pack === found.segment ? undefined : viewOf(found.segment);
    if (view === undefined) standing.push(found);
    else {
      const now = relocate({ ...view, moved: undefined }, await relocationsOf(found.segment));
      standing.push(...inUse(found, now));
    }
  }
  return standing;
}

const placeOf = ({ provider, pack }: FoundDamage): string => `${provider}/${pack}`;

/** A finding, without the shards that are elsewhere by now. */
function inUse(found: FoundDamage, view: SegmentView): FoundDamage[] {
  const its = packsInUse(view).find(
    ({ pack }) => pack.provider === found.provider && pack.address === found.pack,
  );
  if (its === undefined) return [];
  if (found.shards === undefined) return [found];
  const there = new Set(its.shards.map(({ at }) => at));
  const shards = found.shards.filter((at) => there.has(at));
  return shards.length === 0 ? [] : [{ ...found, shards }];
}
