import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { recordedTime } from '../core/clock.ts';
import { asHoldfastError, HoldfastError } from '../core/errors.ts';
import { type EachOptions, eachAlone, type PieceFailure } from '../core/pieces.ts';
import { writeInBatches } from '../engine/batches.ts';
import type { BatchOp } from '../engine/engine.ts';
import { openPointer } from '../manifest/pointer.ts';
import type { RecordsContext, RetiredVersion, WithRetention } from '../records/context.ts';
import { deleteOrQueue } from '../records/deletes.ts';
import type { Fork } from '../records/forks.ts';
import { generationOf, type Published } from '../records/generation.ts';
import { recoveredSince } from '../records/generation-record.ts';
import { MAX_CONDEMNED } from '../records/generation-slot.ts';
import { intentsOf } from '../records/intents.ts';
import {
  condemn,
  forgottenJournal,
  JOURNAL_TABLE,
  type JournalEntry,
  marksOf,
  readJournals,
} from '../records/journal.ts';
import type { JournalHeader } from '../records/journal-header.ts';
import { domainsWanted, forgetRoot, knowsManifest } from '../records/manifests.ts';
import { backUpPointer } from '../records/name-backup.ts';
import { NAMES_TABLE } from '../records/name-record.ts';
import { currentChange } from '../records/names.ts';
import { type Poison, PoisonLog } from '../records/poison.ts';
import { noLongerRetired, retiredBy } from '../records/retired.ts';
import { takeBack } from '../records/take-back.ts';
import { isKept } from '../records/unfinished.ts';
import { recountIsDue } from '../records/usage.ts';

export interface SweepResult {
  /** Journals of dead owners that were finished. */
  readonly finished: number;
  /** Blobs found. */
  readonly blobs: number;
  /** Journals that could not be finished, or owners of which it cannot be told; the next sweep tries them again. */
  readonly failures: readonly PieceFailure[];
  /** Nothing is done about them. */
  readonly poison: Poison;
  /** Owners that still have a journal. */
  readonly owners: ReadonlySet<string>;
  /** What providers held of the names concerned that this state did not know of. */
  readonly forks: readonly Fork[];
  /** Why nothing was finished that should be: it is not certain that this state is the latest. */
  readonly postponed?: 'unconfirmed' | 'behind' | undefined;
}

export interface SweepOptions extends EachOptions {
  /** So long a put that can be taken up again stays, since somebody last began to work on it. Default 0. */
  readonly keepMs?: number | undefined;
}

/** Journals that are finished at once. */
const PARALLEL = 4;

/**
 * Finishes what dead owners began: deletes the blobs of puts that never became visible, copies changed names to the
 * providers, and then deletes the blobs of versions that were replaced or removed. Nothing is touched whose owner may
 * live, or cannot be read. A journal that cannot be finished keeps none of the others from it.
 * @param isOver whether an owner is gone; its mark differs whenever it has written to its journals.
 * @throws HoldfastError what the engine throws when the journals cannot be read; `Aborted` while they are.
 */
export async function sweepJournal(
  context: RecordsContext & WithRetention,
  isOver: (owner: string, mark: string) => boolean | Promise<boolean>,
  { keepMs = 0, ...options }: SweepOptions = {},
): Promise<SweepResult> {
  const poison = new PoisonLog(JOURNAL_TABLE);
  const journals = await readJournals(context, options, poison);
  const failures: PieceFailure[] = [];
  const dead = new Set<string>();
  for (const [owner, mark] of marksOf(context, journals)) {
    try {
      if (await isOver(owner, mark)) dead.add(owner);
    } catch (error) {
      throwIfAborted(options.signal, 'the sweep');
      failures.push({ piece: owner, error: asHoldfastError(error) });
    }
  }
  const due: JournalEntry[] = [];
  for (const journal of fromAnyOn(context, journals)) {
    if (due.length === MAX_CONDEMNED) break;
    if (dead.has(journal.header.owner) && !(await isKept(context, journal, keepMs, options)))
      due.push(journal);
  }
  // What a dead owner had stored or deleted may not have been counted.
  if (due.length > 0) await recountIsDue(context);
  let [blobs, finished] = [0, 0];
  const forks: Fork[] = [];
  const standing = due.length > 0 ? await generationOf(context).standing(options) : undefined;
  if (standing !== undefined && standing.state !== 'confirmed') {
    const owners = new Set(journals.map(({ header }) => header.owner));
    return { finished, blobs, failures, owners, forks, poison, postponed: standing.state };
  }
  const left = new Set<JournalEntry>(journals);
  const { clock } = context;
  const each = { ...options, parallel: PARALLEL };
  const toFinish: ToFinish[] = [];
  const decideOn = async (journal: JournalEntry, signal: AbortSignal): Promise<void> => {
    toFinish.push(await decide(context, journal, { signal }));
  };
  failures.push(...(await eachAlone(clock, due, ({ id }) => id, each, decideOn)));
  const told = await tellOfCondemned(context, toFinish);
  const end = async (decided: ToFinish, signal: AbortSignal): Promise<void> => {
    const done = await finish(context, decided, told, { signal });
    blobs += done.blobs;
    forks.push(...done.forks);
    finished++;
    left.delete(decided.journal);
  };
  failures.push(...(await eachAlone(clock, toFinish, ({ journal }) => journal.id, each, end)));
  const owners = new Set([...left].map(({ header }) => header.owner));
  return { finished, blobs, failures, owners, forks, poison };
}

/** From a random one on: those that can never be finished are not to keep the others from being tried. */
function fromAnyOn<T>({ random }: RecordsContext, items: readonly T[]): T[] {
  const at = Math.floor((items.length * random(1)[0]!) / 256);
  return [...items.slice(at), ...items.slice(0, at)];
}

/** A journal of a dead owner, once its fate is decided. */
interface ToFinish {
  readonly journal: JournalEntry;
  readonly fate: 'visible' | 'condemned' | 'forgotten';
  /** What its name stands for now. */
  readonly current: BlobAddress | undefined;
}

async function decide(
  context: RecordsContext,
  journal: JournalEntry,
  options: AbortOptions,
): Promise<ToFinish> {
  const current = await standsFor(context, journal.header, options);
  if (await isVisible(context, journal.header, current)) return { journal, current, fate: 'visible' };
  // The state was restored while the put was on its way: it may have become visible, and is known by now. What did not,
  // only a listing tells apart.
  if (await recoveredSince(context.engine, journal.header.recoveries))
    return { journal, current, fate: 'forgotten' };
  if (await condemn(context, journal)) return { journal, current, fate: 'condemned' };
  throw new HoldfastError('Conflict', 'the journal was written to meanwhile');
}

interface Told {
  /** Whether what condemned journals stored may be deleted. */
  readonly mayDelete: boolean;
  /** What a majority said of journals that another state condemned; undefined where nobody was asked. */
  readonly published: Published | undefined;
}

/** The lock of its owner says nothing where the home was copied: a copy that runs the put learns of it by the slots. */
async function tellOfCondemned(context: RecordsContext, journals: readonly ToFinish[]): Promise<Told> {
  const of = (fate: ToFinish['fate']): string[] =>
    journals.filter((decided) => decided.fate === fate).map(({ journal }) => journal.id);
  const generation = generationOf(context);
  const condemned = of('condemned');
  const standing = condemned.length > 0 ? await generation.condemn(condemned) : undefined;
  const published = of('visible').length > 0 ? await generation.publish() : undefined;
  return { mayDelete: standing?.state === 'confirmed', published };
}

async function finish(
  context: RecordsContext & WithRetention,
  { journal, fate, current }: ToFinish,
  { mayDelete, published }: Told,
  options: AbortOptions,
): Promise<Pick<SweepResult, 'blobs' | 'forks'>> {
  const { id, header } = journal;
  const { nameKey, manifest, obsolete } = header;
  let blobs = 0;
  const last: BatchOp[] = [];
  if (fate === 'forgotten') {
    await writeInBatches(context.engine, await forgottenJournal(context, id));
    return { blobs, forks: [] };
  }
  if (fate === 'condemned') {
    if (!mayDelete) throw new HoldfastError('Conflict', 'this state is not known to be the latest');
    if (manifest !== undefined) await forgetRoot(context, manifest, options);
    const intents = await intentsOf(context, id, options);
    await deleteOrQueue(context, intents, options);
    blobs += intents.length;
  }
  // A put whose change no majority had heard of left its journal, so that this is asked.
  if (fate === 'visible' && manifest !== undefined && published?.reached !== true) {
    throw new HoldfastError('Unavailable', 'too few providers said whether another state condemned it');
  }
  if (fate === 'visible' && manifest !== undefined && published?.condemned.has(id)) {
    await takeBack(context, { journal: id, nameKey, manifest, obsolete }, options);
    await writeInBatches(context.engine, await forgottenJournal(context, id));
    return { blobs, forks: [] };
  }
  const isReplaced = obsolete !== undefined && current !== obsolete;
  const changed = nameKey !== undefined && (fate === 'visible' || isReplaced);
  const forks = changed ? await copyName(context, nameKey, options) : [];
  // Where states have parted, another may still lead to what was replaced.
  const noted = await retiredBy(context, id, {});
  if (isReplaced && forks.length > 0) last.push(...noted.map(noLongerRetired));
  else if (isReplaced) {
    // What earlier versions replaced is in the header only. Now what is not noted has gone, or is to stay.
    const now = recordedTime(context.clock);
    const goes = header.state === undefined ? [retiredAs(header, now)] : noted;
    for (const version of goes) {
      if (version.dueMs <= now) blobs += (await context.retention.retire(version, options)).deleted;
    }
  }
  await writeInBatches(context.engine, [...last, ...(await forgottenJournal(context, id))]);
  return { blobs, forks };
}

/** @param header has an `obsolete`. */
function retiredAs({ nameKey, manifest, obsolete }: JournalHeader, sinceMs: number): RetiredVersion {
  const why = manifest === undefined ? 'removed' : 'replaced';
  const times = { sinceMs, dueMs: sinceMs, attempts: 0 };
  return { manifest: obsolete!, why, nameKey, ...times, journal: undefined };
}

/** The owner may have died before: a recovery would then bring back what is about to be deleted. */
async function copyName(
  context: RecordsContext,
  nameKey: string,
  options: AbortOptions,
): Promise<readonly Fork[]> {
  const change = await currentChange(context, nameKey, options);
  if (change === undefined) return [];
  const { manifest } = change.pointer;
  const providers = context.directory.all();
  const needed = manifest === undefined ? 0 : await domainsWanted(context, manifest, options);
  const wanted = { wanted: providers.length, needed };
  return (await backUpPointer(context, change, providers, wanted, options)).forks;
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
  { state, nameKey, manifest }: JournalHeader,
  current: BlobAddress | undefined,
): Promise<boolean> {
  if (state !== undefined) return state === 'committed';
  if (manifest === undefined) return false;
  return nameKey === undefined ? knowsManifest(context, manifest) : current === manifest;
}
