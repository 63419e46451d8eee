import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { recordedTime } from '../core/clock.ts';
import { isHoldfastError } from '../core/errors.ts';
import { openRoot } from '../manifest/root.ts';
import { DamageLog } from '../object/damage.ts';
import type { RecordsContext } from '../records/context.ts';
import { isNamed, nameOfFork } from '../records/forks.ts';
import { loadRoot, storedManifests } from '../records/manifests.ts';
import { nameCopies } from '../records/name-copies.ts';
import { readName } from '../records/names.ts';
import { isRetired, retiring } from '../records/retired.ts';

/** What a manifest fails with that is damaged, away or gone: then nothing is concluded. */
const UNREADABLE = ['NotFound', 'Unavailable', 'Corrupt'] as const;

/**
 * Retires versions that were put under a name and that no name stands for any more, as a state leaves them that was
 * restored, or whose name had forked. What is younger than `minAgeMs`, by the time that was recorded, or stands in the slot
 * of its name at any provider, or may, is left alone. @param minAgeMs 0: nothing is too young. @returns how many.
 * @throws HoldfastError `Aborted`; what the engine throws.
 */
export async function retireUnnamed(
  context: RecordsContext,
  minAgeMs: number,
  options: AbortOptions = {},
): Promise<number> {
  const nowMs = recordedTime(context.clock);
  let retired = 0;
  for await (const { manifest, storedMs } of storedManifests(context, options)) {
    // A clock that was wrong may have told any time.
    if (minAgeMs > 0 && storedMs > nowMs - minAgeMs) continue;
    const name = await nameIn(context, manifest, options);
    if (name === undefined || (await mayBeNamed(context, name, manifest))) continue;
    if ((await isRetired(context, manifest, options)) || (await mayStand(context, name, manifest, options)))
      continue;
    const times = { sinceMs: nowMs, dueMs: nowMs, attempts: 0, journal: undefined };
    const version = { manifest, why: 'replaced', nameKey: context.keys.nameKey(name), ...times } as const;
    await context.engine.batch([retiring(version)], [], { ...options, sync: true });
    retired++;
  }
  return retired;
}

/** Whether it was put under a name that stands for it no longer. One that a fork made of it does not count. */
export async function hasLostItsName(
  context: RecordsContext,
  manifest: BlobAddress,
  options: AbortOptions,
): Promise<boolean> {
  const name = await nameIn(context, manifest, options);
  return name !== undefined && (await readName(context, name))?.manifest !== manifest;
}

/** The name it was put under; undefined where it had none, or that cannot be read now. */
async function nameIn(
  context: RecordsContext,
  manifest: BlobAddress,
  options: AbortOptions,
): Promise<string | undefined> {
  try {
    const block = await loadRoot(context, manifest, new DamageLog(), options);
    return openRoot(block, context.keys.wrap).secrets.name;
  } catch (error) {
    if (UNREADABLE.some((kind) => isHoldfastError(error, kind))) return undefined;
    throw error;
  }
}

async function mayBeNamed(context: RecordsContext, name: string, manifest: BlobAddress): Promise<boolean> {
  try {
    return await isNamed(context, name, manifest);
  } catch (error) {
    // What a damaged record stands for nobody knows.
    if (isHoldfastError(error, 'Corrupt')) return true;
    throw error;
  }
}

/** Whether a provider says that it does, or does not say: the record of the name may be what was lost. */
async function mayStand(
  context: RecordsContext,
  name: string,
  manifest: BlobAddress,
  options: AbortOptions,
): Promise<boolean> {
  for (const each of [name, nameOfFork(name, manifest)]) {
    const { providers, unconfirmed } = await nameCopies(
      context,
      { name: each, version: 0, manifest },
      options,
    );
    if (providers.length > 0 || unconfirmed.length > 0) return true;
  }
  return false;
}
