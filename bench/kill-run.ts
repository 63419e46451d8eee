import { execFile } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { strikePrograms } from './kill-programs.ts';
import { type Aim, type RoundOptions, Striker } from './kill-round.ts';
import {
  type KillReport,
  type KillVault,
  makeVault,
  mulberry,
  NAMES,
  newReport,
  OPERATIONS,
  type Operation,
  PHASES,
  REPAIR_OPERATIONS,
  struckAt,
  struckIn,
  UPKEEP,
} from './kill-vaults.ts';

/** After so many rounds the vaults are emptied, and nothing may be left at their providers. */
const EMPTY_EVERY = 12;
/** Where there is to be something to repair and to move. */
const EMPTY_SELDOM = 24;
/** Of so many rounds one has two processes on each home. */
const OVERLAP_EVERY = 4;
/** And of so many one has commands of the program. */
const PROGRAMS_EVERY = 10;
/** So many copies of the vaults, as they were before the latest rounds, are there when one fails. */
const COPIES = 3;

export interface KillOptions {
  /** Operations that are to be struck; with `repairs` of those that look after what is there. */
  readonly count: number;
  /** Goes on until each of them got a tenth of the count at least, and, without `repairs`, each phase of a put a hundredth. */
  readonly balanced?: boolean | undefined;
  readonly seed: number;
  /** Whether a provider loses what it held, which is repaired, and others are left. */
  readonly repairs?: boolean | undefined;
  /** Folder for homes and providers. */
  readonly folder: string;
  /** Vaults that one process works on at once; a kill strikes the operation of each. */
  readonly vaults: number;
  readonly stopAfterMs?: number | undefined;
  /** Ends it after the round. */
  readonly signal?: AbortSignal | undefined;
  readonly onRound?: ((report: KillReport) => void) | undefined;
}

/**
 * Kills processes that work on vaults, again and again, and looks after each kill with a new process: whatever was
 * acknowledged is there, what was not is old or new, and what is removed leaves nothing at the providers. Where
 * something fails, the folder stays with the vaults, copies of them before the latest rounds, and a log of all that was
 * given to the children and heard of them.
 */
export async function runKills(options: KillOptions): Promise<KillReport> {
  const report = newReport();
  const outer = await mkdtemp(join(options.folder, 'holdfast-kills-'));
  const run = new Run(options, report, outer);
  try {
    await run.all();
  } finally {
    if (report.failures.length === 0) await rm(outer, { recursive: true, force: true });
    else report.failures.push(`look into ${outer}`);
  }
  return report;
}

class Run {
  readonly #options: KillOptions;
  readonly #report: KillReport;
  readonly #outer: string;
  readonly #random: () => number;
  readonly #operations: readonly Operation[];
  #vaults: readonly KillVault[] = [];
  #with: RoundOptions;
  #round = 0;
  #lines: string[] = [];

  constructor(options: KillOptions, report: KillReport, outer: string) {
    this.#options = options;
    this.#report = report;
    this.#outer = outer;
    this.#random = mulberry(options.seed);
    this.#operations = options.repairs === true ? REPAIR_OPERATIONS : OPERATIONS;
    this.#with = {
      report,
      operations: this.#operations,
      random: this.#random,
      fail: (what) => {
        report.failures.push(`seed ${options.seed}, round ${this.#round}: ${what}`);
      },
      log: (line) => {
        const text = typeof line === 'string' ? line : JSON.stringify(line);
        this.#lines.push(`${this.#round} ${performance.now().toFixed(1)} ${text}`);
      },
    };
  }

  async all(): Promise<void> {
    const { vaults, onRound, signal, stopAfterMs = Number.POSITIVE_INFINITY } = this.#options;
    const started = performance.now();
    const homes = Array.from({ length: vaults }, (_, i) => join(this.#outer, `v${i}`));
    const { repairs = false } = this.#options;
    this.#vaults = await Promise.all(homes.map((home) => makeVault(home, repairs)));
    const counter = new Striker(this.#vaults.slice(0, 1), this.#with);
    await counter.run('count');
    this.#with = { ...this.#with, counts: counter.counted };
    const { failures } = this.#report;
    const isOver = (): boolean =>
      this.#isEnough() || performance.now() - started >= stopAfterMs || signal?.aborted === true;
    while (!isOver() && failures.length === 0) {
      this.#round++;
      await this.#copy();
      if (this.#round % PROGRAMS_EVERY === 2) await strikePrograms(this.#vaults, this.#with);
      else if (this.#round % OVERLAP_EVERY === 0 && !this.#vaults.some(({ lost }) => lost))
        await this.#overlap();
      else await this.#strike();
      if (this.#round % (repairs ? EMPTY_SELDOM : EMPTY_EVERY) === 0) await this.#empty();
      this.#flush();
      onRound?.(this.#report);
    }
    if (failures.length === 0) await this.#empty();
    this.#flush();
  }

  #isEnough(): boolean {
    const { count, balanced = false } = this.#options;
    const report = this.#report;
    const { repairs = false } = this.#options;
    const struck = this.#counted.reduce((sum, op) => sum + struckIn(report, op), 0);
    if (struck < count || !balanced) return struck >= count;
    return (
      this.#counted.every((op) => struckIn(report, op) >= count / 10) &&
      (repairs || PHASES.every((phase) => struckAt(report, phase) >= count / 100))
    );
  }

  /** Operations that are to be struck. */
  get #counted(): readonly Operation[] {
    return this.#options.repairs === true ? UPKEEP : OPERATIONS;
  }

  #aim(): Aim {
    const [kind, share] = [this.#random(), this.#random()];
    if (this.#options.repairs === true) return this.#aimAtUpkeep(kind, share);
    if (kind < 0.1) return { at: 'opening', delayMs: share * 60 };
    if (kind < 0.6) return { at: 'work', delayMs: share * 20 * this.#vaults.length };
    // The phase in which the fewest were struck.
    const at = (phase: string): number => struckAt(this.#report, phase);
    const phase = PHASES.reduce((least, phase) => (at(phase) < at(least) ? phase : least));
    return { at: { phase }, delayMs: share * 1.5 };
  }

  #aimAtUpkeep(kind: number, share: number): Aim {
    if (kind < 0.05) return { at: 'opening', delayMs: share * 60 };
    if (kind < 0.3) return { at: 'work', delayMs: share * 20 * this.#vaults.length };
    const least = (a: Operation, b: Operation): Operation =>
      struckIn(this.#report, b) < struckIn(this.#report, a) ? b : a;
    return { at: { op: UPKEEP.reduce(least, 'gc') }, delayMs: share };
  }

  async #strike(): Promise<void> {
    const striker = new Striker(this.#vaults, this.#with);
    striker.aim(this.#aim());
    await striker.run('work');
  }

  /** Two processes on each home; one goes on after the other is dead, and is struck later. */
  async #overlap(): Promise<void> {
    const middle = NAMES.length / 2;
    const work = { loses: false, harms: true, tagsFrom: 0 };
    const one = new Striker(this.#vaults, this.#with, {
      ...work,
      names: NAMES.slice(0, middle),
      label: 'one',
    });
    const other = new Striker(this.#vaults, this.#with, {
      ...{ ...work, names: NAMES.slice(middle), label: 'other' },
      tagsFrom: 1_000,
      harms: false,
    });
    const [aim, later] = [this.#aim(), this.#aim()];
    const more = Math.ceil(this.#random() * 3 * this.#vaults.length);
    const begin = (): void => {
      if (one.isReady && other.isReady) one.aim(aim.at === 'opening' ? { ...aim, at: 'work' } : aim);
    };
    [one.onLine, other.onLine] = [begin, begin];
    const going = other.run('work');
    await one.run('work');
    const before = other.ended;
    let outlived = 0;
    other.onLine = () => {
      outlived = other.ended - before;
      if (outlived >= more) other.aim(later);
    };
    await going;
    this.#report.outlived += outlived;
  }

  async #empty(): Promise<void> {
    await new Striker(this.#vaults, this.#with).run('empty');
  }

  async #copy(): Promise<void> {
    const folder = join(this.#outer, `before-${this.#round}`);
    await mkdir(folder);
    await promisify(execFile)('cp', ['-a', ...this.#vaults.map(({ home }) => home), folder]);
    await rm(join(this.#outer, `before-${this.#round - COPIES}`), { recursive: true, force: true });
  }

  #flush(): void {
    appendFileSync(join(this.#outer, 'log'), this.#lines.map((line) => `${line}\n`).join(''));
    this.#lines = [];
  }
}
