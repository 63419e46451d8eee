import { spawn } from 'node:child_process';
import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import type { RoundOptions } from './kill-round.ts';
import {
  contentOf,
  countStrike,
  type KillVault,
  LIBRARY,
  NAMES,
  OPERATIONS,
  type Operation,
  REPAIR_OPERATIONS,
  SIZES,
} from './kill-vaults.ts';

const MAIN = resolve('dist/cli/main.js');
const PRELOAD = pathToFileURL(resolve('test/fixtures/kill-preload.mjs')).href;
/** A program that takes longer hangs. */
const HANG_MS = 120_000;
/** `gc` and `recover` where a provider was late. */
const LATE = 4;
/** A scrub that found something. */
const FOUND = 5;
/** An evacuation that would lower a certificate. */
const REFUSED = 6;
/** What they say of a loss, with the same exit code. */
const LOSS = /too little of it is left|cannot be read to the end/;

/** How long commands take from the moment at which they open the state, as those that came to their end took. */
const taken = new Map<Operation, number>([...OPERATIONS, ...REPAIR_OPERATIONS].map((op) => [op, 400]));
/** Which of two providers replaces the other only the vault knows. */
const COMMANDS: ReadonlySet<Operation> = new Set(REPAIR_OPERATIONS.filter((op) => op !== 'replace'));

interface Command {
  readonly op: Operation;
  readonly name: string | null;
  readonly tag: number | null;
}

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
  /** Undefined: it had not come to opening the state. */
  readonly phase: string | undefined;
}

/**
 * Starts one command of the program on each vault and kills it at some instant between its opening the state and its end.
 * Beside every second one another command of the same home goes on, and must come to its end.
 */
export async function strikePrograms(vaults: readonly KillVault[], given: RoundOptions): Promise<void> {
  await Promise.all(vaults.map((vault) => new Programs(vault, given).strike()));
}

class Programs {
  readonly #vault: KillVault;
  readonly #with: RoundOptions;

  constructor(vault: KillVault, given: RoundOptions) {
    this.#vault = vault;
    this.#with = given;
  }

  async strike(): Promise<void> {
    const { random, operations } = this.#with;
    const [at, beside, loses] = [random(), random() < 0.5, random() < 0.5];
    const commands = operations.filter((op) => op === 'recover' || COMMANDS.has(op));
    const struck = this.#draw(NAMES.slice(0, 2), commands);
    const other = this.#draw(NAMES.slice(2), ['put', 'overwrite', 'rm']);
    const loss = struck.op === 'recover' && loses;
    if (loss) await this.#loseState();
    const goesOn = beside && !this.#vault.lost;
    const [first, second] = await Promise.all([
      this.#start(struck, at),
      goesOn ? this.#start(other, undefined) : undefined,
    ]);
    this.#judge(struck, first);
    if (second !== undefined) this.#judge(other, second);
  }

  #draw(names: readonly string[], ops: readonly Operation[]): Command {
    const { random } = this.#with;
    const vault = this.#vault;
    const [which, what] = [random(), random()];
    const name = names[Math.floor(which * names.length)]!;
    const drawn = vault.lost ? 'recover' : ops[Math.floor(what * ops.length)]!;
    if (drawn !== 'put' && drawn !== 'overwrite' && drawn !== 'rm')
      return { op: drawn, name: null, tag: null };
    const isThere = typeof vault.ledger.holds(name) === 'number';
    const op = drawn === 'rm' ? (isThere ? 'rm' : 'put') : isThere ? 'overwrite' : 'put';
    return { op, name, tag: op === 'rm' ? null : vault.next++ };
  }

  async #loseState(): Promise<void> {
    const { home } = this.#vault;
    const left = (await readdir(home)).filter((entry) => entry.startsWith('engine-gone'));
    for (const entry of left) await rm(join(home, entry), { recursive: true });
    this.#vault.lost = true;
    this.#vault.ledger.lose();
    // A recovery that was killed early has none.
    await rename(join(home, 'engine'), join(home, 'engine-gone')).catch(() => {});
  }

  async #words({ op, name, tag }: Command): Promise<readonly string[]> {
    if (op === 'rm') return ['rm', name!];
    if (op === 'recover') return ['recover'];
    if (op === 'gc') return ['gc', '--min-age', '0'];
    if (op === 'scrub') return ['scrub'];
    if (op === 'repair') return ['repair-run'];
    if (op === 'evacuate') return ['evacuate', this.#vault.roles!.left, '--yes'];
    const file = join(this.#vault.home, `given-${tag}`);
    await writeFile(file, contentOf(tag!));
    return ['put', file, '--name', name!];
  }

  /** @param at share of its time after which it is killed; undefined lets it go on. */
  async #start(command: Command, at: number | undefined): Promise<Ended> {
    const { home, ledger } = this.#vault;
    const { op, name, tag } = command;
    const words = await this.#words(command);
    if (name !== null) ledger.begin(name, tag);
    this.#with.log({ home, program: words, at });
    const counts = (this.#with.counts as Record<string, unknown>)[SIZES[(tag ?? 0) % SIZES.length]!];
    const child = spawn(process.execPath, [MAIN, ...words, '--home', home], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        NODE_OPTIONS: `--import ${PRELOAD}`,
        KILL_WATCH: JSON.stringify({ library: LIBRARY, home, counts }),
      },
    });
    const kill = (): boolean => child.kill('SIGKILL');
    const hang = (): void => {
      this.#with.fail(`${home}: the program's ${op} takes more than ${HANG_MS / 1000} s`);
      kill();
    };
    let [stderr, phase, begunMs] = ['', undefined as string | undefined, 0];
    const timers = [setTimeout(hang, HANG_MS)];
    child.stderr!.on('data', (bytes: Buffer) => {
      stderr = `${stderr}${bytes.toString()}`.slice(-2_000);
    });
    createInterface(child.stdio[3] as Readable).on('line', (line) => {
      if (phase === undefined) {
        begunMs = performance.now();
        if (at !== undefined) timers.push(setTimeout(kill, at * 1.1 * taken.get(op)!));
      }
      phase = line;
    });
    const [code, signal] = await new Promise<[number | null, string | null]>((ends) =>
      child.once('close', (...how) => ends(how)),
    );
    for (const timer of timers) clearTimeout(timer);
    if (code === 0) taken.set(op, taken.get(op)! * 0.8 + (performance.now() - begunMs) * 0.2);
    if (tag !== null) await rm(join(home, `given-${tag}`), { force: true });
    this.#with.log({ home, program: words, code, signal, phase });
    return { code, signal, stderr, phase };
  }

  #judge({ op, name, tag }: Command, { code, signal, stderr, phase }: Ended): void {
    const { report, fail } = this.#with;
    const { ledger, home } = this.#vault;
    if (signal === 'SIGKILL') {
      report.kills++;
      if (phase === undefined) return;
      report.programs++;
      countStrike(report, op, phase);
    } else if (code === 0) {
      report.done++;
      if (name !== null) ledger.acknowledge(name, tag);
      if (op !== 'recover') return;
      this.#vault.lost = false;
      ledger.settle(NAMES);
    } else if (name === null && code === LATE && !LOSS.test(stderr)) report.late++;
    // It found what a provider was made to lose.
    else if (op === 'scrub' && code === FOUND) report.done++;
    else if (op === 'evacuate' && code === REFUSED) report.refused++;
    else fail(`${home}: the program's ${op} ended with ${code ?? signal}: ${stderr}`);
  }
}
