import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Vault } from '../src/index.ts';

export const COMMANDS = ['put', 'rm', 'recover'] as const;
export type Command = (typeof COMMANDS)[number];

const CALLS = [
  'write',
  'pwrite64',
  'fsync',
  'fdatasync',
  'rename',
  'link',
  'unlink',
  'mkdir',
  'openat',
] as const;
const MAIN = resolve('dist/cli/main.js');
const LIBRARY = pathToFileURL(resolve('dist/index.js')).href;
const OLD = Buffer.alloc(3_000, 'old ');
const NEW = Buffer.alloc(3_000, 'new ');
/** A command that hangs is a failure. */
const HANG_MS = 60_000;
/** Commands after which the last leftovers must be gone. */
const PATIENCE = 5;

/** Whether processes can be traced here. */
export const traceable = (): boolean => spawnSync('strace', ['-f', 'true']).status === 0;

export interface CallReport {
  /** Places at which the command was to be killed. */
  places: number;
  /** Kills by system call; a place that a run does not come to kills nothing. */
  readonly killed: Map<string, number>;
  readonly failures: string[];
}

/**
 * Kills a command at every `step`-th of its system calls that touch the home or a provider, each time on the same
 * vault, and looks what is left. With one thread for files the calls come in the same order each time.
 */
export async function killAtCalls(command: Command, folder: string, step: number): Promise<CallReport> {
  const outer = await mkdtemp(join(folder, 'holdfast-calls-'));
  const bench = new Bench(outer, command);
  const report: CallReport = { places: 0, killed: new Map(), failures: [] };
  try {
    await bench.prepare();
    const places = (await bench.places()).filter((_, i) => i % step === 0);
    report.places = places.length;
    for (const { call, nth } of places) {
      const at = `${command}, ${call} ${nth}`;
      try {
        if (!(await bench.strike(call, nth))) continue;
        report.killed.set(call, (report.killed.get(call) ?? 0) + 1);
        const wrong = await bench.look();
        if (wrong !== undefined) report.failures.push(`${at}: ${wrong}`);
      } catch (error) {
        report.failures.push(`${at}: ${String(error)}`);
      }
    }
  } finally {
    await rm(outer, { recursive: true, force: true });
  }
  return report;
}

class Bench {
  readonly #outer: string;
  readonly #home: string;
  readonly #command: Command;
  #acknowledged = false;

  constructor(outer: string, command: Command) {
    this.#outer = outer;
    this.#home = join(outer, 'home');
    this.#command = command;
  }

  /** A vault of two objects; for `recover` one whose state is gone. */
  async prepare(): Promise<void> {
    await writeFile(join(this.#outer, 'new'), NEW);
    const { createVault } = (await import(LIBRARY)) as typeof import('../src/index.ts');
    const vault = await createVault({ home: this.#home, unwrapped: true, env: {} });
    for (const name of ['x', 'y']) await vault.putObject(OLD, { name });
    await vault.close();
    if (this.#command === 'recover') await rm(join(this.#home, 'engine'), { recursive: true });
    // What is replaced must be gone at once.
    const own = join(this.#home, 'storage.toml');
    await writeFile(
      own,
      (await readFile(own, 'utf8')).replace('replaced_seconds = 60', 'replaced_seconds = 0'),
    );
    await cp(this.#home, join(this.#outer, 'base'), { recursive: true });
  }

  /** Which calls of each kind, counted in their thread, touch the home. */
  async places(): Promise<{ readonly call: string; readonly nth: number }[]> {
    const log = join(this.#outer, 'log');
    await this.#run(['-y', '-e', `trace=${CALLS.join(',')}`, '-o', log]);
    const counts = new Map<string, number>();
    const places = new Map<string, { call: string; nth: number }>();
    for (const line of (await readFile(log, 'utf8')).split('\n')) {
      const [, thread, call] = /^(\d+) +(\w+)\(/.exec(line) ?? [];
      if (thread === undefined || call === undefined) continue;
      const nth = (counts.get(`${thread} ${call}`) ?? 0) + 1;
      counts.set(`${thread} ${call}`, nth);
      if (line.includes(`${this.#home}/`)) places.set(`${call} ${nth}`, { call, nth });
    }
    return [...places.values()];
  }

  /** @returns whether it was killed. */
  async strike(call: string, nth: number): Promise<boolean> {
    return this.#run([
      '-e',
      `trace=${call}`,
      '-e',
      `inject=${call}:signal=KILL:when=${nth}`,
      '-o',
      '/dev/null',
    ]);
  }

  async #run(options: readonly string[]): Promise<boolean> {
    await rm(this.#home, { recursive: true, force: true });
    await cp(join(this.#outer, 'base'), this.#home, { recursive: true });
    const words = {
      put: ['put', join(this.#outer, 'new'), '--name', 'x'],
      rm: ['rm', 'x'],
      recover: ['recover'],
    };
    const args = [
      '-f',
      '-qq',
      ...options,
      process.execPath,
      MAIN,
      ...words[this.#command],
      '--home',
      this.#home,
    ];
    const { signal, status, stderr, error } = spawnSync('strace', args, {
      env: { PATH: process.env.PATH, UV_THREADPOOL_SIZE: '1' },
      timeout: HANG_MS,
    });
    if (error) throw error;
    this.#acknowledged = status === 0;
    const killed = signal === 'SIGKILL' || status === 137;
    if (!killed && status !== 0) throw new Error(`exit code ${status}: ${stderr}`);
    return killed;
  }

  /** What is wrong with what is left, if anything is. */
  async look(): Promise<string | undefined> {
    const { openVault } = (await import(LIBRARY)) as typeof import('../src/index.ts');
    const open = (): Promise<Vault> => openVault({ home: this.#home, env: {} });
    let vault = await open();
    if (this.#command === 'recover') await vault.recover();
    const [x, y] = [await read(vault, 'x'), await read(vault, 'y')];
    if (!y?.equals(OLD)) return `y, which nobody touched, is ${y ? 'another' : 'gone'}`;
    if (!this.#allowed().some((bytes) => (bytes === undefined ? x === undefined : x?.equals(bytes))))
      return `x is ${x?.subarray(0, 20).toString() ?? 'gone'}`;
    if (x !== undefined) await vault.deleteObject('x');
    await vault.deleteObject('y');
    for (let i = 0; ; i++) {
      await vault.close();
      const left = await blobs(join(this.#home, 'providers'));
      if (left.length === 0) return undefined;
      if (i === PATIENCE) return `left at the providers: ${left.join(' ')}`;
      vault = await open();
      await vault.putObject(OLD, { name: 'tidy' });
      await vault.deleteObject('tidy');
    }
  }

  #allowed(): readonly (Buffer | undefined)[] {
    if (this.#command === 'recover') return [OLD];
    const after = this.#command === 'put' ? NEW : undefined;
    return this.#acknowledged ? [after] : [OLD, after];
  }
}

async function read(vault: Vault, name: string): Promise<Buffer | undefined> {
  try {
    return Buffer.from(await (await vault.getObject(name)).bytes());
  } catch (error) {
    if ((error as { kind?: string }).kind === 'NotFound') return undefined;
    throw error;
  }
}

async function blobs(providers: string): Promise<string[]> {
  const entries = await readdir(providers, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && `${entry.parentPath ?? entry.path}/`.includes('/blobs/'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}
