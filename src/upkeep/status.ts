import { type AbortOptions, abortable, throwIfAborted } from '../core/abort.ts';
import { timeoutSignal } from '../core/clock.ts';
import { entryOf } from '../core/maps.ts';
import { type ChoreRecord, readChoreLog } from '../records/chore-log.ts';
import { claims, TRASH_TABLE } from '../records/claims.ts';
import type { RecordsContext } from '../records/context.ts';
import { generationOf } from '../records/generation.ts';
import { JOURNAL_TABLE, readJournals } from '../records/journal.ts';
import type { Leases } from '../records/leases.ts';
import { BACKOFF_TABLE } from '../records/manifests.ts';
import { type Poison, PoisonLog } from '../records/poison.ts';
import { backoffs } from '../records/repair-backoff.ts';
import { mayGo, RETIRED_TABLE, retiredVersions } from '../records/retired.ts';
import { DUE_TABLE, dueIn, slotsDue } from '../records/slots.ts';
import { isKept } from '../records/unfinished.ts';
import { egressOf } from './repair/egress.ts';

/** The providers are asked for no longer whether this state is the latest. */
const ASK_MS = 3_000;
/** Records looked at of each table; with more the counts say that they are too low. */
const MAX_COUNTED = 100_000;

/** What waits to be deleted at a provider. */
export interface TrashStatus {
  readonly blobs: number;
  /** Of shards; nodes count as nothing. */
  readonly bytes: number;
  /** How many are in which state, e.g. `queued`. */
  readonly states: Readonly<Record<string, number>>;
}

/** Work that is still to be done. */
export interface Backlog {
  /** Puts and removals that have not ended. */
  readonly journals: {
    /** Their process runs. */
    readonly alive: number;
    /** Their process is gone: the next command finishes them. */
    readonly dead: number;
    /** They wait to be taken up again by the same put. */
    readonly unfinished: number;
    /** It cannot be told: they are finished once they have stood still for a day. */
    readonly unknown: number;
  };
  /** Versions that no name stands for any more. */
  readonly retired: {
    readonly due: number;
    /** They go later. */
    readonly later: number;
    /** Due, but the change that retired them has not ended. */
    readonly waiting: number;
    /** When the first of them was retired, in milliseconds since 1970. */
    readonly oldestMs: number | undefined;
  };
  /** By provider. */
  readonly trash: Readonly<Record<string, TrashStatus>>;
  /** Copies of names that are to be brought up to date, by provider. */
  readonly slotsDue: Readonly<Record<string, number>>;
  /** Names with copies in too few failure domains. */
  readonly namesDue: number;
  /** There was more of something than was counted. */
  readonly more: boolean;
}

/** What keeps repair waiting. */
export interface RepairWaits {
  /** Chunks that could not be repaired, and are tried again later. */
  readonly putOff: number;
  /** When the first of them is, in milliseconds since 1970. */
  readonly nextMs: number | undefined;
  /** What was read for repair today, by UTC, by provider. */
  readonly egressBytes: Readonly<Record<string, number>>;
}

export interface Upkeep {
  /** Whether this state is the latest, as far as the providers say. */
  readonly standing: 'confirmed' | 'unconfirmed' | 'behind';
  /** Why it is not known. */
  readonly why: readonly string[];
  readonly backlog: Backlog;
  readonly repair: RepairWaits;
  /** Records that cannot be read, by table: nothing is done about them, and they stay. */
  readonly unreadable: readonly Poison[];
  /** How each chore of housekeeping last went, by its name. */
  readonly chores: Readonly<Record<string, ChoreRecord>>;
  /** Providers at which something of it failed and was not done since. */
  readonly failing: Readonly<Record<string, ChoreRecord>>;
}

/**
 * What a vault has left to do, and what stands in its way. Reads the state and asks the providers one thing, for a few
 * seconds at most: it answers while all of them hang.
 * @param keepMs how long a put that can be taken up again is kept.
 * @throws HoldfastError `Aborted`; what the engine throws.
 */
export async function upkeepOf(
  context: RecordsContext,
  leases: Pick<Leases, 'standing'>,
  keepMs: number,
  options: AbortOptions = {},
): Promise<Upkeep> {
  const asked = standingOf(context, options);
  asked.catch(() => {});
  const left = await workLeft(context, leases, keepMs, options);
  return { ...(await asked), ...left };
}

/**
 * The same, of the state alone: asks no provider.
 * @throws HoldfastError `Aborted`; what the engine throws.
 */
export async function workLeft(
  context: RecordsContext,
  leases: Pick<Leases, 'standing'>,
  keepMs: number,
  options: AbortOptions = {},
): Promise<Omit<Upkeep, 'standing' | 'why'>> {
  const counting = new Counting(context, options);
  const [journals, retired, trash, due, repair, log] = [
    await counting.journals(leases, keepMs),
    await counting.retired(),
    await counting.trash(),
    await counting.slotsDue(),
    await counting.repair(),
    await readChoreLog(context, options),
  ];
  const backlog = { journals, retired, trash, ...due, more: counting.more };
  const [chores, failing] = [Object.fromEntries(log.chores), Object.fromEntries(log.providers)];
  return { backlog, repair, unreadable: counting.unreadable, chores, failing };
}

async function standingOf(
  context: RecordsContext,
  { signal }: AbortOptions,
): Promise<Pick<Upkeep, 'standing' | 'why'>> {
  const late = timeoutSignal(context.clock, ASK_MS);
  try {
    const standing = await abortable(generationOf(context).standing({ signal }), late);
    return { standing: standing.state, why: standing.state === 'unconfirmed' ? standing.why : [] };
  } catch (error) {
    throwIfAborted(signal, 'status');
    if (!late.aborted) throw error;
    return { standing: 'unconfirmed', why: [`too few providers answered within ${ASK_MS / 1000} seconds`] };
  }
}

interface Tally {
  blobs: number;
  bytes: number;
  readonly states: Record<string, number>;
}

class Counting {
  more = false;
  readonly #context: RecordsContext;
  readonly #options: AbortOptions;
  readonly #poison: PoisonLog[] = [];

  constructor(context: RecordsContext, options: AbortOptions) {
    this.#context = context;
    this.#options = options;
  }

  get unreadable(): Poison[] {
    return this.#poison
      .filter(({ records }) => records > 0)
      .map(({ table, records, keys }) => ({ table, records, keys }));
  }

  async journals(leases: Pick<Leases, 'standing'>, keepMs: number): Promise<Backlog['journals']> {
    const counts = { alive: 0, dead: 0, unfinished: 0, unknown: 0 };
    const found = await readJournals(this.#context, this.#options, this.#unreadableOf(JOURNAL_TABLE));
    for (const journal of found) {
      const standing = await leases.standing(journal.header.owner).catch(() => 'unknown' as const);
      const isWaiting = standing === 'dead' && (await isKept(this.#context, journal, keepMs, this.#options));
      counts[isWaiting ? 'unfinished' : standing]++;
    }
    return counts;
  }

  async retired(): Promise<Backlog['retired']> {
    const poison = this.#unreadableOf(RETIRED_TABLE);
    const now = this.#context.clock.now();
    let [due, later, waiting] = [0, 0, 0];
    let oldestMs: number | undefined;
    const range = { ...this.#options, onDamaged: poison.add };
    for await (const { key, version } of this.#upToMost(retiredVersions(this.#context, range))) {
      if (version === undefined) {
        poison.add(key);
        continue;
      }
      oldestMs = Math.min(version.sinceMs, oldestMs ?? version.sinceMs);
      if (version.dueMs > now) later++;
      else if (await mayGo(this.#context, version)) due++;
      else waiting++;
    }
    return { due, later, waiting, oldestMs };
  }

  async trash(): Promise<Backlog['trash']> {
    const poison = this.#unreadableOf(TRASH_TABLE);
    const trash = new Map<string, Tally>();
    const found = claims(this.#context, { ...this.#options, onUnreadable: poison.add });
    for await (const { provider, claim } of this.#upToMost(found)) {
      const its = entryOf(trash, provider, (): Tally => ({ blobs: 0, bytes: 0, states: {} }));
      its.blobs++;
      its.bytes += claim.bytes;
      its.states[claim.state] = (its.states[claim.state] ?? 0) + 1;
    }
    return Object.fromEntries(trash);
  }

  async slotsDue(): Promise<Pick<Backlog, 'slotsDue' | 'namesDue'>> {
    const poison = this.#unreadableOf(DUE_TABLE);
    const due = new Map<string, number>();
    let namesDue = 0;
    const range = { ...this.#options, onDamaged: poison.add };
    const entries = slotsDue(this.#context).entries(range);
    for await (const [key, value] of this.#upToMost(entries)) {
      const what = dueIn(key, value);
      if (what === undefined) poison.add(key);
      else if (what.provider === undefined) namesDue++;
      else due.set(what.provider, (due.get(what.provider) ?? 0) + 1);
    }
    return { slotsDue: Object.fromEntries(due), namesDue };
  }

  async repair(): Promise<RepairWaits> {
    const poison = this.#unreadableOf(BACKOFF_TABLE);
    let putOff = 0;
    let nextMs: number | undefined;
    const found = backoffs(this.#context, { ...this.#options, onDamaged: poison.add });
    for await (const one of this.#upToMost(found)) {
      putOff++;
      nextMs = Math.min(one.nextMs, nextMs ?? one.nextMs);
    }
    const { engine, clock } = this.#context;
    const egress = await egressOf(engine, clock.now(), this.#options);
    return { putOff, nextMs, egressBytes: Object.fromEntries(egress) };
  }

  async *#upToMost<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
    let left = MAX_COUNTED;
    for await (const item of items) {
      if (left-- > 0) yield item;
      else {
        this.more = true;
        return;
      }
    }
  }

  #unreadableOf(table: string): PoisonLog {
    const log = new PoisonLog(table);
    this.#poison.push(log);
    return log;
  }
}
