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
  SIZES,
  struckIn,
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
    | 'harmed'
    | 'mended'
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
}

/** When a child is struck: so long after it came there. */
export interface Aim {
  /** A phase of a put; any instant of the work; while the vaults are opened and looked at. */
  readonly at: { readonly phase: string } | 'work' | 'opening';
  readonly delayMs: number;
}

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

export const WHOLE: Work = { names: NAMES, loses: true, harms: true, tagsFrom: 0, label: '' };

/** One process that works on all vaults, from its start to its death. */
export class Striker {
  readonly #vaults: readonly KillVault[];
  readonly #with: RoundOptions;
  readonly #work: Work;
  readonly #under: ({ op: Operation; name: string | null; tag: number | null; phase: string } | undefined)[];
  readonly #ready = new Set<number>();
  #aim: Aim | undefined;
  #ended = 0;
  #killing = false;
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
    for (const under of this.#under) if (under) countStrike(report, under.op, under.phase);
  }

  #start(mode: Mode): ChildProcessByStdio<null, Readable, null> {
    const { report, operations, random, counts, log } = this.#with;
    const { names, loses, harms, tagsFrom, label } = this.#work;
    const vaults = this.#vaults.map(({ home, config, harmed, lost, next }) => ({
      ...{ home, config, lost, names, all: NAMES, loses, next: next + tagsFrom },
      ...{ harmed, harms },
      seed: Math.floor(random() * 2 ** 32),
    }));
    // What was struck least comes most often.
    const weights = Object.fromEntries(operations.map((op) => [op, 1 / (20 + struckIn(report, op))]));
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
    else if (aim.at === 'work' || (comes && putting && under.phase === aim.at.phase)) this.#kill(aim.delayMs);
  }

  #kill(delayMs: number): void {
    if (this.#killing) return;
    this.#killing = true;
    const until = performance.now() + delayMs;
    const wait = (): void => {
      if (performance.now() < until) setImmediate(wait);
      else this.#child?.kill('SIGKILL');
    };
    wait();
  }

  #note(line: Line): void {
    const { report, fail } = this.#with;
    const vault = this.#vaults[line.vault]!;
    if (line.is === 'read') this.#read(vault, line);
    else if (line.is === 'begin') {
      this.#under[line.vault] = { op: line.op, name: line.name, tag: line.tag, phase: 'plan' };
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
    else if (line.is === 'late') report.late++;
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

  #end(vault: KillVault, line: Line): void {
    const { op, name, tag } = this.#under[line.vault]!;
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

function parse(text: string): Line | undefined {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return undefined;
  }
}
