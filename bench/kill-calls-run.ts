import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { Vault } from '../src/index.ts';
import { shimIn } from './faults-run.ts';
import type { ChooseStrikes } from './strikes.ts';
import { blobs, read } from './vault-state.ts';

export const COMMANDS = ['put', 'overwrite', 'rm', 'recover', 'gc'] as const;
export type Command = (typeof COMMANDS)[number];

const MAIN = resolve('dist/cli/main.js');
const LIBRARY = pathToFileURL(resolve('dist/index.js')).href;
const OLD = Buffer.alloc(3_000, 'old ');
const NEW = Buffer.alloc(3_000, 'new ');
/** A call that no command comes to. */
const NEVER = 1_000_000_000;
/** So often a put is killed, until one is left halfway. */
const LEAVES = 16;
/** A command that hangs is a failure. */
const HANG_MS = 60_000;

/**
 * On a busy machine a provider may be late, and is told again by a later command; what could not be removed is tried again
 * after a minute. So long it waits before each further attempt.
 */
const PATIENCE_MS = [0, 5_000, 20_000, 45_000];

export interface CallReport {
  /** Calls of the command that change the home or a provider. */
  calls: number;
  /** Kills just before a call, by call; and in the middle of one that writes. */
  readonly killed: Map<string, number>;
  torn: number;
  readonly failures: string[];
}

/**
 * Kills a command at some of its calls that change the home or a provider, each time on the same vault, and looks what is
 * left; at those that write a second time, after half of it. Between two such calls nothing changes, so with a step of one
 * that is every state in which it can be killed, as far as its threads come in the same order.
 */
export async function killAtCalls(
  command: Command,
  folder: string,
  choose: ChooseStrikes,
): Promise<CallReport> {
  const outer = await mkdtemp(join(folder, 'holdfast-calls-'));
  const bench = new Bench(outer, command);
  const report: CallReport = { calls: 0, killed: new Map(), torn: 0, failures: [] };
  await bench.prepare();
  report.calls = (await bench.run({})).calls.length;
  const { first, step, beyond } = choose(report.calls);
  for (let [at, killed] = [first, true]; (beyond && killed) || at <= report.calls; at += step) {
    killed = await strike(bench, report, { at, torn: false });
    if (killed && bench.call.startsWith('write')) await strike(bench, report, { at, torn: true });
  }
  if (report.failures.length === 0) await rm(outer, { recursive: true, force: true });
  return report;
}

/** @returns whether the command was killed. */
async function strike(bench: Bench, report: CallReport, given: Required<Strike>): Promise<boolean> {
  const { at, torn } = given;
  const { killed, calls } = await bench.run(given);
  if (!killed) return false;
  bench.call = calls[at - 1] ?? '';
  const name = bench.call.split(' ')[0]!;
  if (torn) report.torn++;
  else report.killed.set(name, (report.killed.get(name) ?? 0) + 1);
  const wrong = await bench.look().catch(String);
  if (wrong !== undefined)
    report.failures.push(`${torn ? 'in' : 'before'} call ${at}, ${bench.call}: ${wrong}`);
  return true;
}

interface Strike {
  /** Before this call, from 1. */
  readonly at?: number;
  readonly torn?: boolean;
}

interface Struck {
  readonly killed: boolean;
  /** Each that was begun: its name, and its path where it has one. */
  readonly calls: readonly string[];
}

class Bench {
  readonly #outer: string;
  readonly #home: string;
  readonly #command: Command;
  #shim = '';
  #acknowledged = false;
  /** At which the command was killed. */
  call = '';

  constructor(outer: string, command: Command) {
    this.#outer = outer;
    this.#home = join(outer, 'home');
    this.#command = command;
  }

  /** A vault of two objects, and for `recover` and `gc` of what killed commands and a lost state leave behind. */
  async prepare(): Promise<void> {
    const shim = shimIn(this.#outer);
    if ('why' in shim) throw new Error(shim.why);
    this.#shim = shim.path;
    await writeFile(join(this.#outer, 'new'), NEW);
    const { createVault } = (await import(LIBRARY)) as typeof import('../src/index.ts');
    const vault = await createVault({ home: this.#home, unwrapped: true, env: {} });
    for (const name of this.#command === 'put' ? ['y'] : ['x', 'y']) await vault.putObject(OLD, { name });
    await vault.close();
    // What is replaced must be gone at once.
    const own = join(this.#home, 'storage.toml');
    await writeFile(
      own,
      (await readFile(own, 'utf8')).replace('replaced_seconds = 60', 'replaced_seconds = 0'),
    );
    if (this.#command === 'recover' || this.#command === 'gc') await this.#leave();
    if (this.#command === 'gc') await this.#recover();
    if (this.#command === 'gc') await this.#leave();
    if (this.#command === 'recover') await rm(join(this.#home, 'engine'), { recursive: true });
    await this.#keep();
  }

  #keep(): Promise<void> {
    return cp(this.#home, join(this.#outer, 'base'), { recursive: true });
  }

  /** A put that stored half of its blobs. */
  async #leave(): Promise<void> {
    await this.#keep();
    const put = ['put', join(this.#outer, 'new'), '--name', 'z'];
    const { calls } = await this.#start(put, {});
    const stores = calls.flatMap((call, i) => (isStore(call) ? [i + 1] : []));
    const step = Math.max(1, Math.round((stores.at(-1)! - stores[0]!) / stores.length));
    let at = stores[stores.length >> 1]!;
    const tried: string[] = [];
    for (let attempt = 0; attempt < LEAVES; attempt++) {
      const { killed, calls: done } = await this.#start(put, { at });
      const stored = done.filter(isStore).length;
      const isEarly = killed && stored === 0;
      if (killed && !isEarly && stored <= (stores.length * 2) / 3)
        return rm(join(this.#outer, 'base'), { recursive: true });
      tried.push(`at ${at} ${killed ? `with ${stored} of ${stores.length} blobs` : 'not at all'}`);
      // On a busy machine calls come in another order: before those that store, or after them.
      at = Math.max(1, at + (isEarly ? step : -step));
    }
    throw new Error(`a put that was to be left unfinished was killed ${tried.join(', ')}`);
  }

  /** Only a listing finds what is unfinished then. */
  async #recover(): Promise<void> {
    await rm(join(this.#home, 'engine'), { recursive: true });
    const { openVault } = (await import(LIBRARY)) as typeof import('../src/index.ts');
    const vault = await openVault({ home: this.#home, env: {} });
    await vault.recover();
    await vault.close();
  }

  run(strike: Strike): Promise<Struck> {
    const put = ['put', join(this.#outer, 'new'), '--name', 'x'];
    const words = {
      ...{ put, overwrite: put, rm: ['rm', 'x'] },
      ...{ recover: ['recover'], gc: ['gc', '--min-age', '0'] },
    };
    return this.#start(words[this.#command], strike);
  }

  async #start(words: readonly string[], { at, torn }: Strike): Promise<Struck> {
    await rm(this.#home, { recursive: true, force: true });
    await cp(join(this.#outer, 'base'), this.#home, { recursive: true });
    // It is to pass for the original: nobody works on that.
    const owners = await readdir(join(this.#home, 'owners')).catch(() => []);
    for (const owner of owners) await rm(join(this.#home, 'owners', owner, 'place'), { force: true });
    const log = join(this.#outer, 'log');
    await rm(log, { force: true });
    const { signal, status, stderr, error } = spawnSync(
      process.execPath,
      [MAIN, ...words, '--home', this.#home],
      {
        env: {
          // So that the calls come in the same order each time.
          ...{ PATH: process.env.PATH, UV_THREADPOOL_SIZE: '1', LD_PRELOAD: this.#shim },
          ...{ FAULT_ROOT: this.#home, FAULT_LOG: log, FAULT_AT: String(at ?? NEVER), FAULT_ERRNO: '0' },
          ...(torn ? { FAULT_TORN: '1' } : {}),
        },
        timeout: HANG_MS,
        killSignal: 'SIGTERM',
      },
    );
    if (error) throw error;
    this.#acknowledged = status === 0;
    const killed = signal === 'SIGKILL';
    if (!killed && status !== 0) throw new Error(`exit code ${status ?? signal}: ${stderr}`);
    const lines = (await readFile(log, 'utf8')).trimEnd().split('\n');
    return { killed, calls: lines.map((line) => line.slice(2)) };
  }

  /** What is wrong with what is left, if anything is. */
  async look(): Promise<string | undefined> {
    const { openVault } = (await import(LIBRARY)) as typeof import('../src/index.ts');
    const vault = await openVault({ home: this.#home, env: {} });
    try {
      if (this.#command === 'recover') {
        const wrong = await patiently(() => recoverWhole(vault));
        if (wrong !== undefined) return wrong;
      }
      const [x, y, z] = [await read(vault, 'x'), await read(vault, 'y'), await read(vault, 'z')];
      if (!y?.equals(OLD)) return `y, which nobody touched, is ${y ? 'another' : 'gone'}`;
      if (z !== undefined) return 'z, which was never whole, is visible';
      if (!this.#allowed().some((bytes) => (bytes === undefined ? x === undefined : x?.equals(bytes))))
        return `x is ${x?.subarray(0, 20).toString() ?? 'gone'}`;
      for await (const { name } of vault.listObjects()) await vault.deleteObject(name);
      return await patiently(async () => {
        const { providers } = await vault.gc({ minAgeMs: 0 });
        const left = await blobs(join(this.#home, 'providers'));
        return left.length === 0
          ? undefined
          : `left at the providers: ${left.join(' ')}; gc said ${JSON.stringify(providers)}`;
      });
    } finally {
      await vault.close();
    }
  }

  #allowed(): readonly (Buffer | undefined)[] {
    if (this.#command === 'recover' || this.#command === 'gc') return [OLD];
    const before = this.#command === 'put' ? undefined : OLD;
    const after = this.#command === 'rm' ? undefined : NEW;
    return this.#acknowledged ? [after] : [before, after];
  }
}

const isStore = (call: string): boolean => /^rename .*\/blobs\//.test(call);

/** @returns what was still wrong after the last attempt. */
async function patiently(attempt: () => Promise<string | undefined>): Promise<string | undefined> {
  for (const ms of PATIENCE_MS) {
    if ((await attempt()) === undefined) return undefined;
    await sleep(ms);
  }
  return attempt();
}

/** @returns what it could not confirm, if anything. @throws Error when it tells of anything else: that is wrong at once. */
async function recoverWhole(vault: Vault): Promise<string | undefined> {
  const { lost, unconfirmed, forks, rolledBack, damagedSlots } = await vault.recover();
  if (lost.length + forks.length + rolledBack.length + damagedSlots > 0)
    throw new Error(`recover tells of ${JSON.stringify({ lost, forks, rolledBack, damagedSlots })}`);
  const { providers, names } = unconfirmed;
  return providers.length + names.length > 0 ? `unconfirmed ${JSON.stringify(unconfirmed)}` : undefined;
}
