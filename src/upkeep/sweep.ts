import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { openPointer } from '../manifest/pointer.ts';
import type { RecordsContext } from '../records/context.ts';
import type { Fork } from '../records/forks.ts';
import { forgetJournal, intentsOf, type JournalHeader, readJournals } from '../records/journal.ts';
import { forgetRoot, knowsManifest } from '../records/manifests.ts';
import { backUpPointer } from '../records/name-backup.ts';
import { currentChange, NAMES_TABLE } from '../records/names.ts';
import { recountIsDue } from '../records/recount-due.ts';
import { deleteOrQueue } from '../records/trash.ts';
import { deleteManifestBlobs } from './delete-manifest.ts';

export interface SweepResult {
  /** Journals of dead owners that were finished. */
  readonly finished: number;
  /** Blobs found. */
  readonly blobs: number;
  /** Owners that still have a journal. */
  readonly owners: ReadonlySet<string>;
  /** What providers held of the names concerned that this state did not know of. */
  readonly forks: readonly Fork[];
}

/**
 * Finishes what dead owners began: deletes the blobs of puts that never became visible, copies changed names to the
 * providers, and then deletes the blobs of versions that were replaced or removed. Nothing is touched whose owner may live, or cannot be read.
 * @param isDead whether an owner is proven to be gone.
 */
export async function sweepJournal(
  context: RecordsContext,
  isDead: (owner: string) => boolean | Promise<boolean>,
  options: AbortOptions = {},
): Promise<SweepResult> {
  const journals = await readJournals(context, options);
  const owners = new Set(journals.map(({ header }) => header.owner));
  const dead = new Set<string>();
  for (const owner of owners) if (await isDead(owner)) dead.add(owner);
  // What a dead owner had stored or deleted may not have been counted.
  if (dead.size > 0) await recountIsDue(context);
  let [blobs, finished] = [0, 0];
  const forks: Fork[] = [];
  for (const { id, header } of journals) {
    if (!dead.has(header.owner)) continue;
    const done = await finish(context, id, header, options);
    blobs += done.blobs;
    forks.push(...done.forks);
    finished++;
  }
  for (const owner of dead) owners.delete(owner);
  return { finished, blobs, owners, forks };
}

async function finish(
  context: RecordsContext,
  id: string,
  header: JournalHeader,
  options: AbortOptions,
): Promise<Pick<SweepResult, 'blobs' | 'forks'>> {
  let blobs = 0;
  const current = await standsFor(context, header, options);
  const visible = await isVisible(context, header, current);
  const { nameKey, manifest, obsolete } = header;
  if (!visible) {
    if (manifest !== undefined) await forgetRoot(context, manifest, options);
    const intents = await intentsOf(context, id, options);
    await deleteOrQueue(context, intents, options);
    blobs += intents.length;
  }
  const isReplaced = obsolete !== undefined && current !== obsolete;
  const changed = nameKey !== undefined && (visible || isReplaced);
  const forks = changed ? await copyName(context, nameKey, options) : [];
  // Where states have parted, another may still lead to what was replaced.
  if (isReplaced && forks.length === 0) {
    blobs += (await deleteManifestBlobs(context, obsolete, options)).deleted;
  }
  await forgetJournal(context, id);
  return { blobs, forks };
}

/** The owner may have died before: a recovery would then bring back what is about to be deleted. */
async function copyName(
  context: RecordsContext,
  nameKey: string,
  options: AbortOptions,
): Promise<readonly Fork[]> {
  const change = await currentChange(context, nameKey, options);
  if (change === undefined) return [];
  const providers = context.directory.all();
  return (await backUpPointer(context, change, providers, providers.length, options)).forks;
}

/** The manifest that the journal's name stands for now. */
async function standsFor(
  context: RecordsContext,
  { nameKey }: JournalHeader,
  options: AbortOptions,
): Promise<BlobAddress | undefined> {
  if (nameKey === undefined) return undefined;
  const sealed = await context.engine.table(NAMES_TABLE).get(nameKey, options);
  return sealed && openPointer(sealed, nameKey, context.keys.pointer).manifest;
}

/** Whether the put's manifest is the one that its name, or anyone who has its address, leads to. */
async function isVisible(
  context: RecordsContext,
  { nameKey, manifest }: JournalHeader,
  current: BlobAddress | undefined,
): Promise<boolean> {
  if (manifest === undefined) return false;
  return nameKey === undefined ? knowsManifest(context, manifest) : current === manifest;
}
