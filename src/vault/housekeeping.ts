import {
  type AbortOptions,
  abortable,
  type LinkedAbort,
  linkedAbort,
  NO_LONGER_NEEDED,
} from '../core/abort.ts';
import { timeoutSignal } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import type { Fork } from '../records/forks.ts';
import { generationOf } from '../records/generation.ts';
import { renewSlots } from '../records/name-backup.ts';
import { buildNameIndex } from '../records/name-build.ts';
import { checkNames } from '../records/name-check.ts';
import { renewNames } from '../records/name-copies.ts';
import { emptyTrash } from '../records/trash.ts';
import { recountUsage } from '../records/usage.ts';
import { judgeOldClaims } from '../upkeep/old-claims.ts';
import { retireDue } from '../upkeep/retention.ts';
import { sweepJournal } from '../upkeep/sweep.ts';
import type { ComposedVault } from './assemble.ts';

/** Tidying up after an operation takes no longer than this, and delays `close` no longer than that, unless a run died. */
const TIDY_MS = 5_000;
const TIDY_AT_CLOSE_MS = 250;
/** … and when somebody asked for it and waits, each round of it. */
const FINISH_MS = 600_000;
const MAX_ROUNDS = 1_000;
/** What waits since before a recovery is judged so often: that takes a walk through all manifests. */
const JUDGE_EVERY_MS = 600_000;

interface FinishOptions extends AbortOptions {
  /** Puts that can be taken up again stay. Default false. */
  readonly keepUnfinished?: boolean | undefined;
}

/** What is done after an operation that succeeded, one at a time; nobody but `close` waits for it. */
export class Housekeeping {
  readonly #composed: ComposedVault;
  #running: Promise<void> | undefined;
  #until: LinkedAbort | undefined;
  /** A run has died and left something: seldom, and only seen to by commands that stay for it. */
  #sweeps = false;
  #judgedMs: number;

  constructor(composed: ComposedVault) {
    this.#composed = composed;
    this.#judgedMs = composed.context.clock.monotonic();
  }

  start(): void {
    this.#begin(TIDY_MS);
  }

  /** Goes on while that leaves less to be done. Who is not there, or alive, is not waited for. @throws Aborted. */
  async finish({ signal, keepUnfinished = false }: FinishOptions): Promise<void> {
    let before = Number.POSITIVE_INFINITY;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      await abortable(this.#begin(FINISH_MS, keepUnfinished), signal, 'tidying up');
      const left = await this.#backlog({ signal });
      if (left === 0 || left >= before) return;
      before = left;
    }
  }

  /** Records of work that is still to be done. */
  async #backlog(options: AbortOptions): Promise<number> {
    let count = 0;
    for (const table of ['journal', 'trash', 'slots_due'])
      for await (const _ of this.#composed.context.engine.table(table).entries(options)) count++;
    return count;
  }

  #begin(ms: number, keepUnfinished = true): Promise<void> {
    this.#running ??= this.#doChores(ms, keepUnfinished).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  tellOf(forks: readonly Fork[]): void {
    for (const fork of forks) this.#composed.log('warn', 'name_forked', { ...fork });
  }

  /** Gives what is under way a moment. What could not be tidied up by then, later commands will. */
  async end(): Promise<void> {
    const { clock } = this.#composed.context;
    const tidied = new AbortController();
    const running = (this.#running ?? Promise.resolve()).finally(() => tidied.abort(NO_LONGER_NEEDED));
    await clock.sleep(TIDY_AT_CLOSE_MS, tidied.signal).catch(() => {});
    if (this.#sweeps) await clock.sleep(TIDY_MS, tidied.signal).catch(() => {});
    this.#until?.abort(new HoldfastError('Aborted', 'the vault was closed'));
    await running;
  }

  /** One chore does not keep the others from being done; what fails is tried again after the next success. */
  async #doChores(ms: number, keepUnfinished: boolean): Promise<void> {
    const { context, leases, log } = this.#composed;
    this.#until = linkedAbort(timeoutSignal(context.clock, ms), 'tidying up');
    const { signal } = this.#until;
    const chores = [
      () => this.#sweep(signal, keepUnfinished),
      () => this.#retire(signal),
      () => emptyTrash(context, leases.isGone, { signal }),
      () => this.#judge(signal),
      async () => this.tellOf(await renewSlots(context, { signal })),
      async () => this.tellOf(await renewNames(context, { signal })),
      () => generationOf(context).publishIfDue({ signal }),
      () => recountUsage(context, { signal }),
      () => this.#checkNames(signal),
      () => buildNameIndex(context, { signal }),
    ];
    for (const chore of chores) {
      try {
        await chore();
      } catch (error) {
        log('debug', 'housekeeping_failed', { error: String(error) });
      }
    }
  }

  async #judge(signal: AbortSignal): Promise<void> {
    const { context } = this.#composed;
    const now = context.clock.monotonic();
    if (now - this.#judgedMs < JUDGE_EVERY_MS) return;
    this.#judgedMs = now;
    await judgeOldClaims(context, { signal });
  }

  async #checkNames(signal: AbortSignal): Promise<void> {
    const { context, log } = this.#composed;
    const { damaged, stale } = await checkNames(context, { signal });
    if (stale) log('warn', 'name_index_stale', {});
    for (const { nameKey } of damaged) log('warn', 'name_damaged', { nameKey });
  }

  async #retire(signal: AbortSignal): Promise<void> {
    const { context, log } = this.#composed;
    const { retired, postponed, lost, poison } = await retireDue(context, { signal });
    if (retired > 0) log('debug', 'versions_retired', { retired });
    for (const { manifest, why } of postponed) log('warn', 'version_not_deleted', { manifest, why });
    for (const version of lost) log('warn', 'version_lost_in_part', { ...version });
    if (poison > 0) log('warn', 'records_unreadable', { table: 'retired', records: poison });
  }

  async #sweep(signal: AbortSignal, keepUnfinished: boolean): Promise<void> {
    const { config, context, leases, log } = this.#composed;
    const keepMs = keepUnfinished ? config.retention.unfinishedHours * 3_600_000 : 0;
    const isOver = async (owner: string, mark: string): Promise<boolean> => {
      const over = await leases.isOver(owner, mark, { signal });
      if (over) this.#sweeps = true;
      return over;
    };
    const swept = await sweepJournal(context, isOver, { signal, keepMs });
    const { finished, blobs, failures, forks, owners: alive } = swept;
    this.#sweeps = false;
    if (swept.postponed !== undefined) log('warn', 'sweep_postponed', { state: swept.postponed });
    if (finished > 0) log('debug', 'journals_swept', { finished, blobs, owners: alive.size });
    for (const { journal, error } of failures) {
      log('warn', 'journal_not_swept', { journal, error: error.message });
    }
    this.tellOf(forks);
    await leases.tidy(alive, { signal });
  }
}
