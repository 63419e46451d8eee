import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { openPointer } from '../manifest/pointer.ts';
import type { RecordsContext } from '../records/context.ts';
import { forgetJournal, intentsOf, type JournalHeader, readJournals } from '../records/journal.ts';
import { forgetRoot, knowsManifest } from '../records/manifests.ts';
import { NAMES_TABLE } from '../records/names.ts';
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
}

/**
 * Finishes what dead owners began: deletes the blobs of puts that never became visible, and those of versions that
 * were replaced or removed. Nothing is touched whose owner may live, or cannot be read.
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
  for (const { id, header } of journals) {
    if (!dead.has(header.owner)) continue;
    blobs += await finish(context, id, header, options);
    finished++;
  }
  for (const owner of dead) owners.delete(owner);
  return { finished, blobs, owners };
}

async function finish(
  context: RecordsContext,
  id: string,
  header: JournalHeader,
  options: AbortOptions,
): Promise<number> {
  let swept = 0;
  const current = await standsFor(context, header, options);
  if (!(await isVisible(context, header, current))) {
    if (header.manifest !== undefined) await forgetRoot(context, header.manifest, options);
    const intents = await intentsOf(context, id, options);
    await deleteOrQueue(context, intents, options);
    swept += intents.length;
  }
  if (header.obsolete !== undefined && current !== header.obsolete) {
    swept += (await deleteManifestBlobs(context, header.obsolete, options)).deleted;
  }
  await forgetJournal(context, id);
  return swept;
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
