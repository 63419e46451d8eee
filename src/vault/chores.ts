import type { HoldfastError } from '../core/errors.ts';
import type { EachOptions, PieceFailure } from '../core/pieces.ts';
import { endDeadMoves } from '../records/dead-moves.ts';
import type { Fork } from '../records/forks.ts';
import { generationOf } from '../records/generation.ts';
import { renewSlots } from '../records/name-backup.ts';
import { buildNameIndex } from '../records/name-build.ts';
import { checkNames } from '../records/name-check.ts';
import { renewNames } from '../records/name-copies.ts';
import { NAMES_TABLE } from '../records/name-record.ts';
import { clearLeftNames, findNamePlaces } from '../records/name-tidy.ts';
import { type Poison, PoisonLog } from '../records/poison.ts';
import { tellOfAllMoves } from '../records/relocation-slots.ts';
import { emptyTrash } from '../records/trash.ts';
import { recountUsage } from '../records/usage.ts';
import { judgeOldClaims } from '../upkeep/old-claims.ts';
import { retireDue } from '../upkeep/retention.ts';
import { indexShards } from '../upkeep/shard-index/index-shards.ts';
import { sweepJournal } from '../upkeep/sweep.ts';
import type { ComposedVault } from './assemble.ts';

/** What a chore leaves to be told. */
export interface ChoreDone {
  /** Records that it passed over. */
  readonly poison?: Poison | undefined;
  /** Parts of it that were not done, and the next run tries again. */
  readonly failures?: readonly PieceFailure[] | undefined;
  readonly forks?: readonly Fork[] | undefined;
  /** Why nothing was done that should be. */
  readonly postponed?: string | undefined;
}

interface ChoreOptions extends EachOptions {
  /** Puts that can be taken up again stay for as long as the configuration says; else they are ended too. */
  readonly keepUnfinished: boolean;
}

/** One kind of tidying up, which has nothing to do with any other. */
export interface Chore {
  readonly name: string;
  run(options: ChoreOptions): Promise<ChoreDone>;
}

/** Chores of which what fails are providers. */
export const AT_PROVIDERS: readonly string[] = ['trash', 'slots'];

/**
 * Chores that open nothing, and ask no slot how far the state is: without the key that is not known, so nothing is deleted.
 */
const KEYLESS: readonly string[] = ['relocation slots', 'shard index', 'usage'];

/** Those that can be done with the key at hand. @param onDead called when an owner was found dead and its work is being finished, and when that is over. */
export function choresOf(composed: ComposedVault, onDead: (isAtWork: boolean) => void): readonly Chore[] {
  const { context, leases, log, sealed } = composed;
  const all: readonly Chore[] = [
    { name: 'journals', run: (options) => sweep(composed, onDead, options) },
    { name: 'retired', run: (options) => retire(composed, options) },
    { name: 'moves', run: (options) => endDeadMoves(context, options) },
    { name: 'relocation slots', run: (options) => tellOfAllMoves(context, options) },
    { name: 'trash', run: (options) => emptyTrash(context, leases.isGone, options) },
    { name: 'old claims', run: judging(composed) },
    { name: 'slots', run: (options) => renewSlots(context, options) },
    { name: 'names', run: (options) => renewNames(context, options) },
    {
      name: 'copies of names',
      async run(options) {
        await findNamePlaces(context, options);
        return { failures: await clearLeftNames(context, options) };
      },
    },
    {
      name: 'generation',
      run: async (options) => {
        await generationOf(context).publishIfDue(options);
        return {};
      },
    },
    { name: 'shard index', run: indexing(composed) },
    { name: 'usage', run: async (options) => ({ poison: await recountUsage(context, options) }) },
    {
      name: 'index',
      async run(options) {
        const { damaged, stale } = await checkNames(context, options);
        if (stale) log('warn', 'name_index_stale', {});
        for (const { nameKey } of damaged) log('warn', 'name_damaged', { nameKey });
        const poison = new PoisonLog(NAMES_TABLE);
        for (const { nameKey } of damaged) poison.add(nameKey);
        await buildNameIndex(context, options);
        return { poison };
      },
    },
  ];
  return sealed ? all.filter(({ name }) => KEYLESS.includes(name)) : all;
}

/** What waits since before a recovery is judged so often: that takes a walk through all manifests. */
const JUDGE_EVERY_MS = 600_000;

function judging({ context }: ComposedVault): Chore['run'] {
  let judgedMs = context.clock.monotonic();
  return async (options) => {
    const now = context.clock.monotonic();
    if (now - judgedMs < JUDGE_EVERY_MS) return {};
    judgedMs = now;
    await judgeOldClaims(context, options);
    return {};
  };
}

/** Some of the index of shards is compared with what is at hand so often, … */
const COMPARE_EVERY_MS = 10_000;
/** … and with a node that is read from the providers. */
const COMPARE_NODES_EVERY_MS = 600_000;

function indexing({ context }: ComposedVault): Chore['run'] {
  let comparedMs = Number.NEGATIVE_INFINITY;
  let nodesMs = context.clock.monotonic();
  return async (options) => {
    const now = context.clock.monotonic();
    const due = now - comparedMs >= COMPARE_EVERY_MS;
    const nodesDue = now - nodesMs >= COMPARE_NODES_EVERY_MS;
    const compare = nodesDue ? 'nodes' : due ? 'records' : 'nothing';
    if (due) comparedMs = now;
    if (nodesDue) nodesMs = now;
    const { failures } = await indexShards(context, { ...options, compare });
    return { failures };
  };
}

async function sweep(
  { config, context, leases, log }: ComposedVault,
  onDead: (isAtWork: boolean) => void,
  { keepUnfinished, ...options }: ChoreOptions,
): Promise<ChoreDone> {
  const { signal } = options;
  const isOver = async (owner: string, mark: string): Promise<boolean> => {
    const over = await leases.isOver(owner, mark, { signal });
    if (over) onDead(true);
    return over;
  };
  const keepMs = keepUnfinished ? config.retention.unfinishedHours * 3_600_000 : 0;
  const swept = await sweepJournal(context, isOver, { ...options, keepMs }).finally(() => onDead(false));
  const { finished, blobs, failures, forks, owners: alive, poison, postponed } = swept;
  if (postponed !== undefined) log('warn', 'sweep_postponed', { state: postponed });
  if (finished > 0) log('debug', 'journals_swept', { finished, blobs, owners: alive.size });
  for (const { piece, error } of signal?.aborted ? [] : failures) {
    log('warn', 'journal_not_swept', { journal: piece, error: error.message });
  }
  if (signal?.aborted !== true) await leases.tidy(alive, { signal });
  return { poison, failures, forks, postponed };
}

async function retire({ context, log }: ComposedVault, options: EachOptions): Promise<ChoreDone> {
  const { retired, postponed, lost, poison } = await retireDue(context, options);
  if (retired > 0) log('debug', 'versions_retired', { retired });
  for (const version of lost) log('warn', 'version_lost_in_part', { ...version });
  if (options.signal?.aborted) return { poison, postponed: postponed[0]?.why };
  for (const { manifest, why } of postponed) log('warn', 'version_not_deleted', { manifest, why });
  return { poison, postponed: postponed[0]?.why };
}

/** Why a chore was not done, of what it left to be told. */
export const whyNotDone = ({ failures = [], postponed }: ChoreDone): HoldfastError | string | undefined =>
  failures[0]?.error ?? postponed;
