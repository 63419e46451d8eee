import { recordedTime } from '../../core/clock.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import { codeFields } from '../../manifest/code-fields.ts';
import { MAX_PROVIDERS } from '../../placement/domains.ts';
import type { Provider } from '../../providers/provider.ts';
import type { BlobAt } from '../../records/claims.ts';
import { freePlace } from '../../records/deletes.ts';
import { generationOf } from '../../records/generation.ts';
import { intentsOf } from '../../records/intents.ts';
import {
  isAtWork,
  JOURNAL_TABLE,
  type JournalEntry,
  marksOf,
  PutJournal,
  readJournals,
} from '../../records/journal.ts';
import {
  type FileVersion,
  finishedSegment,
  forgetFinished,
  mayGoOn,
  nothingUnfinished,
  resumeEntry,
  sealUnfinished,
  type Unfinished,
  unfinishedOf,
} from '../../records/unfinished.ts';
import { recountIsDue } from '../../records/usage.ts';
import type { VaultContext } from '../context.ts';
import { type ByteSource, fileFrom } from '../source.ts';
import type { PutPlan } from './plan.ts';
import type { PutSession } from './session.ts';
import { type OfNoUse, type ResumeRequest, StoredCheck, type StoredParts } from './stored-parts.ts';

/** A put that was taken over from an owner who is gone. */
export interface Resumed extends Unfinished {
  readonly journal: PutJournal;
  readonly parts: StoredParts;
  /** The file behind the beginning. */
  readonly rest: ByteSource;
  /** Those of the plan, then others that hold shards and get no more. */
  readonly providers: readonly Provider[];
  /** What the earlier run may have sent beside that; nobody needs it. */
  readonly leftovers: readonly BlobAt[];
  readonly why?: undefined;
}

interface BegunAnew extends OfNoUse {
  readonly journal?: undefined;
}

/**
 * Looks for a put of the same name whose owner is gone, and takes it over if what it stored is the beginning of this file.
 * Nothing is sent, and nothing deleted. Of two who look, one gets it.
 * @returns undefined where there is none, or another was faster.
 * @throws HoldfastError `Aborted`; what the engine and the file throw.
 */
export async function takeUp(
  context: VaultContext,
  request: ResumeRequest,
): Promise<Resumed | BegunAnew | undefined> {
  const { nameKey, signal } = request;
  if (await nothingUnfinished(context, { signal })) return undefined;
  const journals = await readJournals(context, { signal });
  const marks = marksOf(context, journals);
  let refused: BegunAnew | undefined;
  for (const journal of journals) {
    const { id, header } = journal;
    if (header.nameKey !== nameKey || !(await mayGoOn(context, header))) continue;
    const unfinished = await unfinishedOf(context, id, { signal });
    if (unfinished === undefined || !(await isFree(context, journal, marks.get(header.owner)!))) continue;
    const taken = await takeOne(context, request, journal, unfinished);
    if (taken?.journal !== undefined) return taken;
    refused ??= taken;
  }
  return refused;
}

/** An owner that lives in this process works on its journals, unless it has let go of one. */
async function isFree(context: VaultContext, { id, header }: JournalEntry, mark: string): Promise<boolean> {
  if (header.owner === (await context.owner())) return !isAtWork(context, id);
  return context.isOver(header.owner, mark);
}

async function takeOne(
  context: VaultContext,
  request: ResumeRequest,
  journal: JournalEntry,
  unfinished: Unfinished,
): Promise<Resumed | BegunAnew | undefined> {
  const { engine, keys, random, clock } = context;
  const { id, stored } = journal;
  const { signal } = request;
  // In a state that is not the latest, that put may have become visible long ago.
  const { state } = await generationOf(context).standing({ signal });
  if (state !== 'confirmed') {
    return { why: `it is not certain that this state is the latest (${state})`, isForNow: true };
  }
  const begunAnew = async (why: string): Promise<BegunAnew> => {
    const stands = [{ table: JOURNAL_TABLE, key: id, expected: stored }];
    await engine.batch([resumeEntry(id, undefined)], stands, { sync: true });
    return { why, isForNow: false };
  };
  const changed = whatChanged(context, request, unfinished);
  if (changed !== undefined) return begunAnew(changed);
  if (!(await isWhole(context, id, signal))) return begunAnew('the journal of what was stored is damaged');
  const providers = holdersOf(context, request.plan);
  const parts = await new StoredCheck(context, request, journal, unfinished, providers).run();
  if ('why' in parts) return parts.isForNow ? parts : begunAnew(parts.why);
  const sinceMs = recordedTime(clock);
  const renewed = sealUnfinished(keys.wrap, id, { ...unfinished, sinceMs }, random);
  const taken = await PutJournal.takeOver(context, journal, [resumeEntry(id, renewed)]);
  if (taken === undefined) return undefined;
  try {
    await recountIsDue(context);
    const kept = [...parts.beginning, ...parts.later].map(({ key }) => key);
    await forgetFinished(context, id, new Set(kept));
    const intents = await intentsOf(context, id, { signal });
    const leftovers = intents.filter((blob) => !parts.leadsTo(blob));
    const rest = fileFrom(request.file, request.version, parts.beginning.at(-1)?.end ?? 0);
    return { ...unfinished, journal: taken, parts, rest, providers, leftovers };
  } catch (error) {
    taken.release();
    throw error;
  }
}

/** Whether all that a journal's put may have sent is known; what is not could never be deleted. */
async function isWhole(context: VaultContext, journal: string, signal: AbortSignal): Promise<boolean> {
  try {
    await intentsOf(context, journal, { signal });
    return true;
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return false;
    throw error;
  }
}

function whatChanged(
  { policy }: VaultContext,
  { version, plan }: ResumeRequest,
  { source, code, compression }: Unfinished,
): string | undefined {
  const differs = (Object.keys(source) as (keyof FileVersion)[]).some((key) => source[key] !== version[key]);
  if (differs) return 'the file is another one, or has changed since';
  const sameCode = JSON.stringify(codeFields(code)) === JSON.stringify(codeFields(plan.code.params));
  if (!sameCode || compression !== policy.compression)
    return 'the configuration of code or compression has changed';
  return undefined;
}

/** Shard maps index this list. */
function holdersOf({ directory }: VaultContext, { placed }: PutPlan): readonly Provider[] {
  const known = new Set(placed.map(({ id }) => id));
  return [...placed, ...directory.all().filter(({ id }) => !known.has(id))].slice(0, MAX_PROVIDERS);
}

/**
 * Stores the node of a finished segment again: a provider that had a copy is gone. It is not new, and may be about to be
 * deleted where it is to be stored.
 */
export async function copyNode(context: VaultContext, session: PutSession, key: string): Promise<void> {
  const finished = await finishedSegment(context, key, session.keys.sealed);
  if (finished === undefined) {
    throw new HoldfastError('Corrupt', 'the record of a finished segment is gone', {
      code: 'engine_corrupt',
    });
  }
  const { outbox } = session;
  await session.storeNode(finished.node, {
    async intend(provider, address) {
      await outbox.intend(provider, address);
      try {
        await freePlace(context, { provider, address });
      } catch (error) {
        outbox.refused(provider, address);
        throw error;
      }
    },
    left: (...given) => outbox.left(...given),
  });
}
