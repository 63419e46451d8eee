import { type AbortOptions, abortable, linkedAbort, NO_LONGER_NEEDED } from '../core/abort.ts';
import { asHoldfastError, HoldfastError } from '../core/errors.ts';
import { eachAlone, type PieceFailure, type PiecesOptions } from '../core/pieces.ts';
import { countedBacklog } from '../records/backlog.ts';
import { type ChoreRecord, changeChoreLog, readChoreLog } from '../records/chore-log.ts';
import type { Fork } from '../records/forks.ts';
import type { ComposedVault } from './assemble.ts';
import { AT_PROVIDERS, type Chore, type ChoreDone, choresOf, whyNotDone } from './chores.ts';

/** What one chore may take after an operation: nobody waits for it. */
const TIDY_MS = 30_000;
/** … and when somebody asked for it and waits, each round of it. */
const FINISH_MS = 600_000;
const MAX_ROUNDS = 1_000;
/** Operations one after another share a round: each asks the engine for everything that may be due. */
const EVERY_MS = 1_000;
/** A chore that was told to end is waited for so long to write down how far it came. */
const SETTLE_MS = 1_000;

/** `close` is delayed no longer than this, … */
const AT_CLOSE_MS = 250;
/** … unless a run died and its work is being finished, … */
const AT_CLOSE_DEAD_MS = 5_000;
/** … or commands before it were cut off: every second stays twice as long, every fourth four times, up to this. */
const MAX_DOUBLINGS = 5;

/** How long the vault stays open for its chores, by how many before it, one after another, were cut off. */
const stayMs = (cutOff: number): number => {
  let doublings = 0;
  while (cutOff > 0 && doublings < MAX_DOUBLINGS && cutOff % 2 ** (doublings + 1) === 0) doublings++;
  return AT_CLOSE_MS * 2 ** doublings;
};

interface FinishOptions extends AbortOptions {
  /** Puts that can be taken up again stay. Default false. */
  readonly keepUnfinished?: boolean | undefined;
}

type Outcome =
  | 'cut off'
  | { readonly why: HoldfastError | string | undefined; readonly failures: readonly PieceFailure[] };

/**
 * What is done after an operation that succeeded; nobody but `close` waits for it. Chores have nothing to do with each
 * other: each runs by itself and only once at a time, and one that fails or hangs keeps none of the others from it.
 */
export class Housekeeping {
  readonly #composed: ComposedVault;
  readonly #chores: readonly Chore[];
  readonly #running = new Map<string, Promise<void>>();
  readonly #end = linkedAbort(undefined, 'tidying up');
  readonly #rounds = new Set<Promise<void>>();
  /** A run has died and left something: seldom, and only seen to by commands that stay for it. */
  #sweeps = false;
  #cutOff = 0;
  #startedMs = Number.NEGATIVE_INFINITY;
  /** Takes back the round that comes after the latest one. */
  #cancelNext: (() => void) | undefined;

  constructor(composed: ComposedVault) {
    this.#composed = composed;
    this.#chores = choresOf(composed, (isAtWork) => {
      this.#sweeps = isAtWork;
    });
  }

  /** At once, or a moment after the latest: `end` does not wait for that. */
  start(): void {
    if (this.#cancelNext !== undefined || this.#end.signal.aborted) return;
    const { clock } = this.#composed.context;
    const inMs = this.#startedMs + EVERY_MS - clock.monotonic();
    if (inMs <= 0) this.#startNow();
    else this.#cancelNext = clock.timer(inMs, () => this.#startNow(), { idle: true });
  }

  #startNow(): void {
    this.#cancelNext?.();
    this.#cancelNext = undefined;
    this.#startedMs = this.#composed.context.clock.monotonic();
    void this.#round(TIDY_MS, true);
  }

  /** Goes on while that leaves less to be done. Who is not there, or alive, is not waited for. @throws Aborted. */
  async finish({ signal, keepUnfinished = false }: FinishOptions): Promise<void> {
    await abortable(Promise.all(this.#running.values()), signal, 'tidying up');
    const least = new Map<string, number>();
    for (let round = 0; round < MAX_ROUNDS; round++) {
      await abortable(this.#round(FINISH_MS, keepUnfinished), signal, 'tidying up');
      let gotOn = false;
      for (const [table, left] of await countedBacklog(this.#composed.context, { signal })) {
        if (left < (least.get(table) ?? Number.POSITIVE_INFINITY) && left > 0) gotOn = true;
        least.set(table, Math.min(left, least.get(table) ?? left));
      }
      if (!gotOn) return;
    }
  }

  tellOf(forks: readonly Fork[]): void {
    for (const fork of forks) this.#composed.log('warn', 'name_forked', { ...fork });
  }

  /** Gives what is under way a moment. What could not be tidied up by then, later commands will. */
  async end(): Promise<void> {
    const { clock } = this.#composed.context;
    if (this.#cancelNext !== undefined) this.#startNow();
    const tidied = new AbortController();
    const running = Promise.all(this.#rounds).then(() => tidied.abort(NO_LONGER_NEEDED));
    const stay = (ms: number): Promise<void> => clock.sleep(ms, tidied.signal).catch(() => {});
    await stay(AT_CLOSE_MS);
    // How many were cut off is known by now.
    if (this.#cutOff > 1) await stay(stayMs(this.#cutOff) - AT_CLOSE_MS);
    if (this.#sweeps) await stay(AT_CLOSE_DEAD_MS);
    this.#end.abort(new HoldfastError('Aborted', 'the vault was closed'));
    await running;
  }

  /** Never rejects. */
  #round(ms: number, keepUnfinished: boolean): Promise<void> {
    const round = this.#doChores(ms, keepUnfinished).finally(() => this.#rounds.delete(round));
    this.#rounds.add(round);
    return round;
  }

  async #doChores(ms: number, keepUnfinished: boolean): Promise<void> {
    const { context, log } = this.#composed;
    const outcomes = new Map<string, Outcome>();
    try {
      this.#cutOff = (await readChoreLog(context)).cutOff;
      const times = { eachMs: ms, settleMs: SETTLE_MS, signal: this.#end.signal };
      const run = (chore: Chore): Promise<void> => this.#run(chore, times, keepUnfinished, outcomes);
      await Promise.all(this.#chores.map((chore) => this.#alone(chore, run)));
      await this.#remember(outcomes);
    } catch (error) {
      log('debug', 'housekeeping_failed', { error: String(error) });
    }
  }

  /** Once at a time: who comes while it runs waits for that. */
  #alone(chore: Chore, run: (chore: Chore) => Promise<void>): Promise<void> {
    const running = this.#running.get(chore.name) ?? run(chore);
    this.#running.set(chore.name, running);
    return running;
  }

  async #run(
    chore: Chore,
    times: PiecesOptions & { readonly eachMs: number },
    keepUnfinished: boolean,
    outcomes: Map<string, Outcome>,
  ): Promise<void> {
    const { name } = chore;
    let done: ChoreDone = {};
    const work = async (_: Chore, signal: AbortSignal): Promise<void> => {
      done = await chore.run({ signal, eachMs: times.eachMs / 2, keepUnfinished });
    };
    const { clock } = this.#composed.context;
    const [failure] = await eachAlone(clock, [chore], () => name, times, work);
    this.#running.delete(name);
    const isEnding = this.#end.signal.aborted;
    const why = failure?.error ?? whyNotDone(done);
    this.#tell(name, failure?.error, done);
    outcomes.set(name, isEnding && why !== undefined ? 'cut off' : { why, failures: done.failures ?? [] });
  }

  #tell(chore: string, failure: HoldfastError | undefined, done: ChoreDone): void {
    const { clock } = this.#composed.context;
    const { log, observers } = this.#composed;
    const isEnding = this.#end.signal.aborted;
    const { forks = [], poison, failures = [] } = done;
    this.tellOf(forks);
    if (poison !== undefined && poison.records > 0) {
      const { table, records, keys } = poison;
      log('warn', 'records_unreadable', { table, records, keys });
      observers.housekeeping.unreadable(table, records);
    }
    if (isEnding) return;
    const isDone = failure === undefined && whyNotDone(done) === undefined;
    observers.housekeeping.choreFailed(chore, isDone ? 0 : 1);
    if (isDone) observers.housekeeping.choreDone(chore, clock.now() / 1000);
    if (failure !== undefined) log('warn', 'housekeeping_failed', { chore, error: failure.message });
    for (const { piece, error } of failures) {
      log('debug', 'housekeeping_failed', { chore, piece, error: error.message });
    }
  }

  /** For the next run, and for `status`. */
  async #remember(outcomes: ReadonlyMap<string, Outcome>): Promise<void> {
    const { context } = this.#composed;
    const nowMs = Math.max(0, Math.floor(context.clock.now()));
    const failed = new Map<string, HoldfastError>();
    for (const [name, outcome] of outcomes) {
      if (outcome === 'cut off' || !AT_PROVIDERS.includes(name)) continue;
      for (const { piece, error } of outcome.failures) failed.set(piece, error);
    }
    const askedAll = AT_PROVIDERS.every((name) => typeof outcomes.get(name) === 'object');
    const wasCutOff = [...outcomes.values()].includes('cut off');
    await changeChoreLog(context, (before) => {
      const chores = new Map(before.chores);
      for (const [name, outcome] of outcomes) {
        if (outcome !== 'cut off') chores.set(name, recordOf(chores.get(name), outcome.why, nowMs));
      }
      const providers = new Map<string, ChoreRecord>();
      for (const { id } of context.directory.all()) {
        const [known, why] = [before.providers.get(id), failed.get(id)];
        if (why !== undefined) providers.set(id, recordOf(known, why, nowMs));
        else if (!askedAll && known !== undefined) providers.set(id, known);
      }
      return { chores, providers, cutOff: wasCutOff ? before.cutOff + 1 : 0 };
    });
  }
}

function recordOf(
  before: ChoreRecord | undefined,
  why: HoldfastError | string | undefined,
  nowMs: number,
): ChoreRecord {
  if (why === undefined) return { doneMs: nowMs, failures: 0 };
  const error = typeof why === 'string' ? why : asHoldfastError(why).message;
  return { doneMs: before?.doneMs, failedMs: nowMs, error, failures: (before?.failures ?? 0) + 1 };
}
