import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';

export const OPERATIONS = ['put', 'overwrite', 'rm', 'gc', 'recover'] as const;
export const PHASES = ['plan', 'intent', 'packs', 'node', 'root', 'commit', 'back-up', 'close'] as const;
type Operation = (typeof OPERATIONS)[number];

const CHILD = resolve('test/fixtures/kill-child.mjs');
const LIBRARY = pathToFileURL(resolve('dist/index.js')).href;
const NAMES = ['a', 'b', 'c', 'd'];
/** One segment, and several with nodes above them. */
const SIZES = [3_000, 400_000, 700, 20_000];
const PROVIDERS = 6;
/** After so many kills a vault is emptied, and nothing may be left at its providers. */
const EMPTY_EVERY = 12;
/** Commands after which the last leftovers must be gone. */
const PATIENCE = 5;
/** A child that says nothing for so long hangs. */
const HANG_MS = 60_000;

/** What the child says. */
interface Line {
  readonly is:
    | 'begin'
    | 'phase'
    | 'end'
    | 'failed'
    | 'read'
    | 'lost'
    | 'whole'
    | 'ready'
    | 'emptied'
    | 'broken';
  readonly vault: number;
  readonly op: Operation;
  readonly phase: string;
  readonly name: string;
  readonly tag: number | null;
  readonly left: readonly string[];
  readonly why: string;
}

interface KillVault {
  readonly home: string;
  readonly config: unknown;
  /** What each name may hold; null: it does not exist. More than one after an operation that nobody acknowledged. */
  readonly ledger: Map<string, Set<number | null>>;
  /** The state may be gone or half recovered. */
  lost: boolean;
  next: number;
  under: { op: Operation; name: string | null; tag: number | null; phase: string } | undefined;
}

export interface KillOptions {
  /** Operations that are to be struck. */
  readonly count: number;
  readonly seed: number;
  /** Folder for homes and providers. */
  readonly folder: string;
  /** Vaults that one process works on at once; a kill strikes the operation of each. */
  readonly vaults: number;
  /** Strike in this phase of a put only. */
  readonly phase?: string | undefined;
  readonly stopAfterMs?: number | undefined;
}

export interface KillReport {
  kills: number;
  struck: number;
  /** By operation, then by phase. */
  readonly counts: Map<string, Map<string, number>>;
  reads: number;
  emptied: number;
  readonly failures: string[];
}

/**
 * Kills processes that work on vaults, again and again, and looks after each kill with a new process: whatever was
 * acknowledged is there, what was not is old or new, and what is removed leaves nothing at the providers.
 */
export async function runKills(options: KillOptions): Promise<KillReport> {
  const random = mulberry(options.seed);
  const report: KillReport = { kills: 0, struck: 0, counts: new Map(), reads: 0, emptied: 0, failures: [] };
  const outer = await mkdtemp(join(options.folder, 'holdfast-kills-'));
  const vaults = await Promise.all(
    Array.from({ length: options.vaults }, (_, i) => make(join(outer, `v${i}`))),
  );
  const started = performance.now();
  const inTime = (): boolean =>
    performance.now() - started < (options.stopAfterMs ?? Number.POSITIVE_INFINITY);
  try {
    for (let round = 1; report.struck < options.count && inTime() && report.failures.length === 0; round++) {
      await new Round(vaults, report, { options, random, round }).strike();
      if (round % EMPTY_EVERY === 0) await new Round(vaults, report, { options, random, round }).empty();
    }
    if (report.failures.length === 0) await new Round(vaults, report, { options, random, round: 0 }).empty();
  } finally {
    // What failed stays, to be looked at.
    if (report.failures.length === 0) await rm(outer, { recursive: true, force: true });
  }
  return report;
}

async function make(home: string): Promise<KillVault> {
  const { createVault } = (await import(LIBRARY)) as typeof import('../src/index.ts');
  await mkdir(home, { recursive: true });
  const config = {
    chunks: { ladder: ['64 KiB'], defaultBytes: '64 KiB' },
    packs: { targetBytes: '64 KiB' },
    // What is emptied must be gone at once.
    retention: { replacedSeconds: 0 },
    providers: Array.from({ length: PROVIDERS }, (_, i) => ({
      id: `p${i}`,
      adapter: 'fs' as const,
      root: join(home, 'providers', `p${i}`),
    })),
  };
  await (await createVault({ home, config: config as never, unwrapped: true, env: {} })).close();
  const ledger = new Map(NAMES.map((name) => [name, new Set<number | null>([null])]));
  return { home, config, ledger, lost: false, next: 100, under: undefined };
}

interface RoundOptions {
  readonly options: KillOptions;
  readonly random: () => number;
  readonly round: number;
}

/** One child, from its start to its death. */
class Round {
  readonly #vaults: readonly KillVault[];
  readonly #report: KillReport;
  readonly #with: RoundOptions;
  #ready = 0;
  #aim: { readonly phase: string | undefined; readonly delayMs: number };

  constructor(vaults: readonly KillVault[], report: KillReport, given: RoundOptions) {
    this.#vaults = vaults;
    this.#report = report;
    this.#with = given;
    const { random, options } = given;
    const rare = options.phase ?? (random() < 0.5 ? rarest(report.counts) : undefined);
    this.#aim = { phase: rare, delayMs: random() * (rare === undefined ? 60 : 1.5) };
  }

  async strike(): Promise<void> {
    const child = this.#start('work');
    let killing = false;
    const kill = (): void => {
      if (killing) return;
      killing = true;
      const until = performance.now() + this.#aim.delayMs;
      const wait = (): void => {
        if (performance.now() < until) setImmediate(wait);
        else child.kill('SIGKILL');
      };
      wait();
    };
    await this.#hear(child, (line) => {
      if (line.is === 'ready') this.#ready++;
      if (line.is === 'broken') kill();
      if (this.#ready < this.#vaults.length) return;
      const under = this.#vaults[line.vault]!.under;
      const begins = line.is === 'begin' || line.is === 'phase';
      const aimed =
        begins && under?.phase === this.#aim.phase && (under?.op === 'put' || under?.op === 'overwrite');
      if (this.#aim.phase === undefined || aimed) kill();
    });
    this.#report.kills++;
    for (const vault of this.#vaults) this.#strikeVault(vault);
  }

  async empty(): Promise<void> {
    await this.#hear(this.#start('empty'), () => {});
    for (const { ledger } of this.#vaults) for (const name of NAMES) ledger.set(name, new Set([null]));
  }

  #strikeVault(vault: KillVault): void {
    const { under } = vault;
    vault.under = undefined;
    if (under === undefined) return;
    this.#report.struck++;
    const phases = this.#report.counts.get(under.op) ?? new Map<string, number>();
    phases.set(under.phase, (phases.get(under.phase) ?? 0) + 1);
    this.#report.counts.set(under.op, phases);
  }

  #start(mode: 'work' | 'empty'): ChildProcessByStdio<null, Readable, null> {
    const vaults = this.#vaults.map(({ home, config, lost, next }) => ({
      home,
      config,
      lost,
      next,
      patience: PATIENCE,
    }));
    const weights = Object.fromEntries(
      OPERATIONS.map((op) => [op, 1 / (20 + total(this.#report.counts.get(op)))]),
    );
    const given = JSON.stringify({ library: LIBRARY, vaults, names: NAMES, sizes: SIZES, weights, mode });
    return spawn(process.execPath, [CHILD, given], { stdio: ['ignore', 'pipe', 'inherit'] });
  }

  async #hear(child: ChildProcessByStdio<null, Readable, null>, also: (line: Line) => void): Promise<void> {
    let hang = setTimeout(() => child.kill('SIGKILL'), HANG_MS);
    let hung = true;
    for await (const text of createInterface(child.stdout)) {
      clearTimeout(hang);
      hang = setTimeout(() => {
        hung = true;
        child.kill('SIGKILL');
      }, HANG_MS);
      hung = false;
      // The last line of a killed child may be cut short.
      const line = parse(text);
      if (line === undefined) continue;
      this.#note(line);
      also(line);
    }
    clearTimeout(hang);
    if (hung) this.#fail('a child said nothing for a minute');
  }

  #note(line: Line): void {
    const vault = this.#vaults[line.vault]!;
    if (line.is === 'read') this.#read(vault, line);
    else if (line.is === 'begin') {
      vault.under = { op: line.op, name: line.name, tag: line.tag, phase: 'plan' };
      vault.next++;
      if (line.name !== null) vault.ledger.get(line.name)!.add(line.tag);
    } else if (line.is === 'phase' && vault.under) vault.under.phase = line.phase;
    else if (line.is === 'end') {
      const { name, tag } = vault.under!;
      if (name !== null) vault.ledger.set(name, new Set([tag]));
      vault.under = undefined;
    } else if (line.is === 'lost') vault.lost = true;
    else if (line.is === 'whole') vault.lost = false;
    else if (line.is === 'emptied') {
      this.#report.emptied++;
      if (line.left.length > 0) this.#fail(`left at the providers of ${vault.home}: ${line.left.join(' ')}`);
    } else if (line.is === 'failed' || line.is === 'broken')
      this.#fail(`${vault.home}: ${line.is}: ${line.why}`);
  }

  #read(vault: KillVault, { name, tag }: Line): void {
    this.#report.reads++;
    const may = vault.ledger.get(name)!;
    if (!may.has(tag)) this.#fail(`${vault.home}: "${name}" holds ${tag}, not one of ${[...may].join(', ')}`);
    vault.ledger.set(name, new Set([tag]));
  }

  #fail(what: string): void {
    const { options, round } = this.#with;
    this.#report.failures.push(`seed ${options.seed}, round ${round}: ${what}`);
  }
}

function parse(text: string): Line | undefined {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return undefined;
  }
}

export const total = (phases: ReadonlyMap<string, number> | undefined): number =>
  [...(phases?.values() ?? [])].reduce((sum, n) => sum + n, 0);

/** The phase of puts and overwrites in which the fewest were struck. */
function rarest(counts: KillReport['counts']): string {
  const of = (phase: string): number =>
    (counts.get('put')?.get(phase) ?? 0) + (counts.get('overwrite')?.get(phase) ?? 0);
  return PHASES.reduce((least, phase) => (of(phase) < of(least) ? phase : least));
}

function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
