import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import {
  countStrike,
  type KillReport,
  type KillVault,
  LIBRARY,
  NAMES,
  type Operation,
  REPAIR_OPERATIONS,
  SIZES,
  struckIn,
  UPKEEP,
} from './kill-vaults.ts';

const CHILD = resolve('test/fixtures/kill-child.mjs');
/** Not for long-lived code: it is struck before that would pay. */
const FLAGS = ['--no-opt', '--always-sparkplug', '--single-threaded-gc'];
/** A child that says nothing for so long hangs. */
const HANG_MS = 120_000;
/** Providers are late for a moment: a vault that refuses more in a row refuses for ever. */
const MAX_REFUSED = 20;

/** What the child says. */
interface Line {
  readonly is:
    | 'begin'
    | 'phase'
    | 'end'
    | 'read'
    | 'lost'
    | 'whole'
    | 'ready'
    | 'counted'
    | 'emptied'
    | 'late'
    | 'again'
    | 'harmed'
    | 'mended'
    | 'moved'
    | 'certified'
    | 'refused'
    | 'broken';
  readonly vault: number;
  readonly op: Operation;
  readonly phase: string;
  readonly name: string;
  readonly tag: number | null;
  readonly found: number;
  readonly counts: unknown;
  readonly why: string;
  readonly what: string;
  readonly count: number;
  readonly refused: number;
}

/** When a child is struck: so long after it came there. */
export interface Aim {
  /** A phase of a put; an operation; any instant of the work; while the vaults are opened and looked at. */
  readonly at: { readonly phase: string } | { readonly op: Operation } | 'work' | 'opening';
  /** Of an operation: share of the time that it takes. */
  readonly delayMs: number;
}

/** How long operations take, as those that came to their end took. */
const taken = new Map<Operation, number>();
const usually = (op: Operation): number => taken.get(op) ?? 200;
/** An operation that does not come for so long is not waited for. */
const COMES_MS = 3_000;

export interface RoundOptions {
  readonly report: KillReport;
  readonly operations: readonly Operation[];
  readonly random: () => number;
  readonly fail: (what: string) => void;
  readonly log: (line: unknown) => void;
  /** How many nodes each size has; undefined until it was counted. */
  readonly counts?: unknown;
}

type Mode = 'work' | 'empty' | 'count';

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
}

interface Work {
  readonly names: readonly string[];
  /** Whether the state may be lost on purpose. */
  readonly loses: boolean;
  /** Whether a provider may be harmed. */
  readonly harms: boolean;
  /** Tags of another child are so far away. */
  readonly tagsFrom: number;
  readonly label: string;
}

const WHOLE: Work = { names: NAMES, loses: true, harms: true, tagsFrom: 0, label: '' };

/** What a vault's process is doing. */
interface Under {
  readonly op: Operation;
  readonly name: string | null;
  readonly tag: number | null;
  readonly sinceMs: number;
  phase: string;
  /** It sleeps before it tries again, or has slept. */
  isAsleep: boolean;
  slept: boolean;
}

/** One process that works on all vaults, from its start to its death. */
export class Striker {
  readonly #vaults: readonly KillVault[];
  readonly #with: RoundOptions;
  readonly #work: Work;
  readonly #under: (Under | undefined)[];
  readonly #ready = new Set<number>();
  #aim: Aim | undefined;
  #ended = 0;
  #killing = false;
  #impatient: NodeJS.Timeout | undefined;
  #child: ChildProcessByStdio<null, Readable, null> | undefined;
  /** Told after each line. */
  onLine: (() => void) | undefined;
  counted: unknown;

  constructor(vaults: readonly KillVault[], given: RoundOptions, work: Work = WHOLE) {
    this.#vaults = vaults;
    this.#with = given;
    this.#work = work;
    this.#under = vaults.map(() => undefined);
  }

  get isReady(): boolean {
    return this.#ready.size === this.#vaults.length;
  }

  /** Operations that ended well. */
  get ended(): number {
    return this.#ended;
  }

  /** From now on. */
  aim(aim: Aim): void {
    this.#aim = aim;
  }

  /** @returns when the child is dead. */
  async run(mode: Mode): Promise<void> {
    const { report } = this.#with;
    const child = this.#start(mode);
    this.#child = child;
    await this.#hear(child, mode);
    if (mode !== 'work') return;
    report.kills++;
    report.opening += this.#vaults.length - this.#ready.size;
    for (const under of this.#under) if (under && !under.isAsleep) countStrike(report, under.op, under.phase);
  }

  #start(mode: Mode): ChildProcessByStdio<null, Readable, null> {
    const { report, operations, random, counts, log } = this.#with;
    const { names, loses, harms, tagsFrom, label } = this.#work;
    const vaults = this.#vaults.map(({ home, config, roles, lost, next }) => ({
      ...{ home, config, lost, names, all: NAMES, loses, next: next + tagsFrom },
      ...{ roles, harms },
      seed: Math.floor(random() * 2 ** 32),
    }));
    // What was struck least comes most often.
    const weights = Object.fromEntries(operations.map((op) => [op, weightOf(operations, op, report)]));
    const given = { library: LIBRARY, vaults, sizes: SIZES, weights, counts, mode };
    log({ child: label, given });
    return spawn(process.execPath, [...FLAGS, CHILD, JSON.stringify(given)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  }

  async #hear(child: ChildProcessByStdio<null, Readable, null>, mode: Mode): Promise<void> {
    const ended = new Promise<Ended>((ends) => child.once('exit', (code, signal) => ends({ code, signal })));
    let hung = false;
    const hang = (): NodeJS.Timeout =>
      setTimeout(() => {
        hung = true;
        child.kill('SIGKILL');
      }, HANG_MS);
    let timer = hang();
    for await (const text of createInterface(child.stdout)) {
      clearTimeout(timer);
      timer = hang();
      this.#with.log(`${this.#work.label} ${text}`);
      // The last line of a killed child may be cut short.
      const line = parse(text);
      if (line === undefined) continue;
      this.#note(line);
      this.#killIfAimed(line);
      this.onLine?.();
    }
    const { code, signal } = await ended;
    clearTimeout(timer);
    clearTimeout(this.#impatient);
    const { fail } = this.#with;
    const wanted = mode === 'work' ? signal === 'SIGKILL' : code === 0;
    if (hung) fail(`a child said nothing for ${HANG_MS / 1000} s: ${JSON.stringify(this.#under)}`);
    else if (!wanted) fail(`a child ended with ${code ?? signal}`);
  }

  #killIfAimed(line: Line): void {
    if (line.is === 'broken') this.#kill(0);
    const aim = this.#aim;
    if (aim === undefined) return;
    const under = this.#under[line.vault];
    const comes = line.is === 'begin' || line.is === 'phase';
    const putting = under?.op === 'put' || under?.op === 'overwrite';
    if (aim.at === 'opening') this.#kill(aim.delayMs);
    else if (!this.isReady) return;
    else if (aim.at === 'work') this.#kill(aim.delayMs);
    else if ('phase' in aim.at) {
      if (comes && putting && under.phase === aim.at.phase) this.#kill(aim.delayMs);
    } else if (line.is === 'begin' && line.op === aim.at.op) this.#kill(aim.delayMs * usually(line.op));
    else this.#notForEver(aim);
  }

  #notForEver(aim: Aim): void {
    if (this.#impatient !== undefined || this.#killing) return;
    this.#impatient = setTimeout(() => {
      if (this.#aim === aim) this.#kill(0);
    }, COMES_MS);
  }

  #kill(delayMs: number): void {
    if (this.#killing) return;
    this.#killing = true;
    const until = performance.now() + delayMs;
    const wait = (): void => {
      if (performance.now() < until) setImmediate(wait);
      else this.#child?.kill('SIGKILL');
    };
    // The child needs the processor meanwhile.
    setTimeout(wait, Math.max(0, delayMs - 3));
  }

  #note(line: Line): void {
    const { report, fail } = this.#with;
    const vault = this.#vaults[line.vault]!;
    if (line.is === 'read') this.#read(vault, line);
    else if (line.is === 'begin') {
      const { op, name, tag } = line;
      const since = { sinceMs: performance.now(), phase: 'plan', isAsleep: false, slept: false };
      this.#under[line.vault] = { op, name, tag, ...since };
      vault.next = Math.max(vault.next, (line.tag ?? 0) + 1);
      if (line.name !== null) vault.ledger.begin(line.name, line.tag);
    } else if (line.is === 'phase') {
      const under = this.#under[line.vault];
      if (under) under.phase = line.phase;
    } else if (line.is === 'end') this.#end(vault, line);
    else if (line.is === 'lost') {
      vault.lost = true;
      vault.ledger.lose();
    } else if (line.is === 'whole') this.#whole(vault);
    else if (line.is === 'ready') this.#ready.add(line.vault);
    else if (line.is === 'counted') this.counted = line.counts;
    else if (line.is === 'harmed') report.harmed++;
    else if (line.is === 'mended') report.mended++;
    else if (line.is === 'certified') report.certified += line.count;
    else if (line.is === 'moved') {
      report.moved += line.count;
      report.refused += line.refused;
    } else if (line.is === 'late' || line.is === 'again') this.#sleeps(line);
    else if (line.is === 'refused') {
      this.#under[line.vault] = undefined;
      report.late++;
      if (++vault.refused > MAX_REFUSED) fail(`${vault.home}: refuses again and again: ${line.what}`);
    } else if (line.is === 'emptied') {
      report.emptied++;
      report.scrubbed += line.found;
      for (const name of NAMES) vault.ledger.acknowledge(name, null);
    } else if (line.is === 'broken')
      fail(`${vault.home}: ${line.why}; under way: ${JSON.stringify(this.#under[line.vault])}`);
  }

  /** Before it tries again what was late. */
  #sleeps({ is, vault }: Line): void {
    if (is === 'late') this.#with.report.late++;
    const under = this.#under[vault];
    if (under === undefined) return;
    under.isAsleep = is === 'late';
    under.slept = true;
  }

  #end(vault: KillVault, line: Line): void {
    const { op, name, tag, sinceMs, slept } = this.#under[line.vault]!;
    if (!slept) taken.set(op, usually(op) * 0.9 + (performance.now() - sinceMs) * 0.1);
    if (name !== null) vault.ledger.acknowledge(name, tag);
    if (op === 'recover') this.#whole(vault);
    this.#under[line.vault] = undefined;
    vault.refused = 0;
    this.#ended++;
    this.#with.report.done++;
  }

  #whole(vault: KillVault): void {
    vault.lost = false;
    vault.ledger.settle(this.#work.names);
  }

  #read(vault: KillVault, { name, tag }: Line): void {
    const { report, fail } = this.#with;
    report.reads++;
    const should = vault.ledger.read(name, tag);
    if (should !== undefined) fail(`${vault.home}: "${name}" holds ${tag}, not ${should}`);
  }
}

/** What was struck least comes most often; what only goes on beside it comes less often. */
function weightOf(operations: readonly Operation[], op: Operation, report: KillReport): number {
  const isAside = operations === REPAIR_OPERATIONS && !UPKEEP.some((one) => one === op);
  return (isAside ? 0.5 : 1) / (20 + struckIn(report, op));
}

function parse(text: string): Line | undefined {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return undefined;
  }
}
