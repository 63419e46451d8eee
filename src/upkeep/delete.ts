import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { recordedTime } from '../core/clock.ts';
import type { BatchOp } from '../engine/engine.ts';
import type { Pointer } from '../manifest/pointer.ts';
import { DamageLog } from '../object/damage.ts';
import type { RecordsContext, RetiredVersion, WithRetention } from '../records/context.ts';
import { type Fork, hasOtherName, nameOfFork } from '../records/forks.ts';
import { generationOf } from '../records/generation.ts';
import { engineGenerationOf } from '../records/generation-record.ts';
import { PutJournal } from '../records/journal.ts';
import { openManifest } from '../records/manifests.ts';
import { backUpPointer, type NameBackUp } from '../records/name-backup.ts';
import { type NameChange, pointNameFrom, readName, resolveReference } from '../records/names.ts';
import { noLongerRetired, retiring } from '../records/retired.ts';
import { flushUsage } from '../records/usage.ts';

export interface DeleteResult {
  readonly manifest: BlobAddress;
  readonly name: string | undefined;
  /** Blobs that were deleted at once, and those queued because their provider did not answer. */
  readonly deleted: number;
  readonly queued: number;
  /** Why nothing could be deleted now: the name is removed, the blobs go as soon as they may. */
  readonly postponed?: string | undefined;
  /** Providers that did not say in time that they know of the removal; they are told again later. */
  readonly unconfirmed: readonly string[];
  /** Versions of the name that the providers held and this state did not know of. */
  readonly forks: readonly Fork[];
  /** A provider knows of changes that this state has not seen: the name is removed, and its content is kept. */
  readonly stateBehind: boolean;
}

/**
 * Removes an object: first the name, durably, then the blobs. Blobs that cannot be deleted now are queued and tried
 * again later; a crash in between is made good by the journal's sweep. An address of a manifest that a name stands for
 * removes the name too.
 * @throws HoldfastError `NotFound`.
 */
export async function deleteObject(
  context: RecordsContext & WithRetention,
  reference: string,
  options: AbortOptions = {},
): Promise<DeleteResult> {
  const { manifest, name } = await whatToDelete(context, reference, options);
  const generation = generationOf(context);
  const standing = await generation.standing(options);
  const removedMs = recordedTime(context.clock);
  const nameKey = name === undefined ? undefined : context.keys.nameKey(name);
  const journal = await PutJournal.begin(context, nameKey);
  const shared = name !== undefined && (await hasOtherName(context, name, manifest));
  let retired: RetiredVersion | undefined;
  const noted = (obsolete: BlobAddress): BatchOp[] => {
    const goes = shared && obsolete === manifest ? undefined : obsolete;
    retired = goes && removedVersion(goes, nameKey, removedMs, journal.id);
    return [journal.removed(goes), ...(retired === undefined ? [] : [retiring(retired)])];
  };
  // By its name whatever that stands for goes, by an address this object only.
  const only = reference === name ? undefined : manifest;
  const also = async ({ replaced }: NameChange): Promise<BatchOp[]> => noted(replaced?.manifest ?? manifest);
  const removal = name === undefined ? undefined : await removeName(context, name, only, removedMs, also);
  if (removal === undefined) {
    await engineGenerationOf(context.engine).write(noted(manifest), [], context.random);
    await generation.publish();
  }
  const obsolete = removal?.replaced ?? manifest;
  const { unconfirmed = [], forks = [] } = removal?.backUp ?? {};
  const dropped = await dropContent(context, retired, forks, options);
  await flushUsage(context);
  await journal.end();
  return {
    manifest: obsolete,
    name: removal && name,
    ...dropped,
    unconfirmed,
    forks,
    stateBehind: standing.state === 'behind',
  };
}

async function dropContent(
  { engine, retention }: RecordsContext & WithRetention,
  retired: RetiredVersion | undefined,
  forks: readonly Fork[],
  options: AbortOptions,
): Promise<Pick<DeleteResult, 'deleted' | 'queued' | 'postponed'>> {
  if (retired === undefined) return { deleted: 0, queued: 0 };
  if (forks.length === 0) return retention.retire(retired, options);
  // Where states have parted, another may still lead to it under a name of its own.
  await engine.batch([noLongerRetired(retired)]);
  return { deleted: 0, queued: 0, postponed: 'the providers held versions that this state did not know of' };
}

const removedVersion = (
  manifest: BlobAddress,
  nameKey: string | undefined,
  removedMs: number,
  journal: string,
): RetiredVersion => ({
  manifest,
  why: 'removed',
  nameKey,
  sinceMs: removedMs,
  dueMs: removedMs,
  attempts: 0,
  journal,
});

async function whatToDelete(
  context: RecordsContext,
  reference: string,
  options: AbortOptions,
): Promise<{ readonly manifest: BlobAddress; readonly name: string | undefined }> {
  const { manifest, pointer } = await resolveReference(context, reference, options);
  if (pointer !== undefined) return { manifest, name: pointer.name };
  const { secrets } = await openManifest(context, manifest, new DamageLog(), options);
  if (secrets.name === undefined) return { manifest, name: undefined };
  for (const name of [secrets.name, nameOfFork(secrets.name, manifest)]) {
    const current = await readName(context, name, options);
    if (current?.manifest === manifest) return { manifest, name };
  }
  return { manifest, name: undefined };
}

/** @returns what the name stood for at that moment, and who was told; undefined when that is not `only`. */
async function removeName(
  context: RecordsContext,
  name: string,
  only: BlobAddress | undefined,
  createdMs: number,
  also: (change: NameChange) => Promise<BatchOp[]>,
): Promise<{ readonly replaced: BlobAddress | undefined; readonly backUp: NameBackUp } | undefined> {
  const gone = { manifest: undefined, size: 0, createdMs };
  const agreed = (current: Pointer | undefined): boolean => only === undefined || current?.manifest === only;
  const change = await pointNameFrom(context, name, gone, agreed, { also });
  if (change === undefined) return undefined;
  const providers = context.directory.all();
  const [backUp] = await Promise.all([
    backUpPointer(context, change, providers, providers.length),
    generationOf(context).publish(),
  ]);
  return { replaced: change.replaced?.manifest, backUp };
}
