import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Vault } from '../src/index.ts';
import type { ChooseStrikes } from './strikes.ts';
import { blobs, read } from './vault-state.ts';

export const COMMANDS = ['put', 'overwrite', 'rm', 'gc', 'recover'] as const;
export type Command = (typeof COMMANDS)[number];

/** Which disk fails: that of the home, that of one provider, or one on which all providers lie. */
export const DISKS = ['home', 'provider', 'providers'] as const;
export type Disk = (typeof DISKS)[number];

/** How it fails: one call, or all from that one on. A write that fails with EIO has left half of its bytes. */
export const FAULTS = ['ENOSPC', 'EIO', 'ENOSPC lasting', 'EIO lasting'] as const;
export type Fault = (typeof FAULTS)[number];

export interface Series {
  readonly command: Command;
  readonly disk: Disk;
  readonly fault: Fault;
}

export interface FaultReport {
  /** Calls that could be struck, as one run without a fault makes them. */
  calls: number;
  /** Calls that later runs did not come to, each tried several times. */
  spared: number;
  /** What was struck: call and kind of file → how often. */
  readonly struck: Map<string, number>;
  /** What the command then said: its code or "done" → how often. */
  readonly said: Map<string, number>;
  readonly failures: string[];
}

const MAIN = resolve('dist/cli/main.js');
const LIBRARY = pathToFileURL(resolve('dist/index.js')).href;
const OLD = Buffer.alloc(3_000, 'old ');
const NEW = Buffer.alloc(3_000, 'new ');
/** A command that hangs is a failure. */
const HANG_MS = 60_000;
const PROVIDERS = 4;
const MAX_ATTEMPTS = 8;
/** How often a call is tried to be struck. */
const STRIKES = 2;
/** A call that no command comes to. */
const NEVER = 1_000_000_000;

const WORDS: Readonly<Record<Command, readonly string[]>> = {
  put: ['put', 'new', '--name', 'z'],
  overwrite: ['put', 'new', '--name', 'x'],
  rm: ['rm', 'x'],
  gc: ['gc', '--min-age', '1s'],
  recover: ['recover'],
};
/** What they change: the name, what it holds before, and after. */
const CHANGES: Readonly<Partial<Record<Command, readonly [string, Buffer | undefined, Buffer | undefined]>>> =
  { put: ['z', undefined, NEW], overwrite: ['x', OLD, NEW], rm: ['x', OLD, undefined] };
/** A put whose name lies in too few domains has succeeded. */
const DONE = new Set([0, 8]);
const TYPED = new Set([2, 3, 4, 5, 6, 7]);

const isHit = (call: string): boolean => call.startsWith('+');
const isSpared = ({ calls }: Struck): boolean => !calls.some(isHit);

/** Compiles what makes calls fail. @returns its path, or why there is none. */
export function shimIn(folder: string): { readonly path: string } | { readonly why: string } {
  if (process.platform !== 'linux') return { why: 'not Linux' };
  const path = join(folder, 'io-faults.so');
  const source = resolve('test/fixtures/io-faults.c');
  const made = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', path, source, '-ldl']);
  if (made.status !== 0) return { why: 'no C compiler for it' };
  const env = { LD_PRELOAD: path, FAULT_ROOT: folder };
  const tried = spawnSync(process.execPath, ['-e', '0'], { env, timeout: HANG_MS });
  return tried.status === 0 ? { path } : { why: 'system calls cannot be watched here' };
}

/** Vaults on which one command after the other is struck. Remove it in the end. */
export class FaultBench {
  readonly #outer: string;
  readonly #home: string;
  readonly #config: string;
  readonly #shim: string;
  #based: Command | undefined;
  /** The provider with the most blobs: the one that fails alone. */
  #fullest = 'p0';

  private constructor(outer: string, shim: string) {
    this.#outer = outer;
    this.#home = join(outer, 'home');
    this.#config = join(outer, 'c.toml');
    this.#shim = shim;
  }

  /** @throws Error where calls cannot be made to fail. */
  static async create(folder: string = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()): Promise<FaultBench> {
    const outer = await mkdtemp(join(folder, 'holdfast-faults-'));
    const shim = shimIn(outer);
    if ('why' in shim) throw new Error(shim.why);
    await writeFile(join(outer, 'new'), NEW);
    return new FaultBench(outer, shim.path);
  }

  async remove(): Promise<void> {
    await rm(this.#outer, { recursive: true, force: true });
  }

  /** Lets calls of a command fail, each on the same vault, and looks what is left. */
  async run(series: Series, choose: ChooseStrikes): Promise<FaultReport> {
    if (this.#based !== series.command) await this.#base(series.command);
    this.#based = series.command;
    const report: FaultReport = { calls: 0, spared: 0, struck: new Map(), said: new Map(), failures: [] };
    report.calls = (await this.#strike(series, NEVER)).calls.length;
    const { first: from, step, beyond } = choose(report.calls);
    for (let at = from; beyond || at <= report.calls; at += step) {
      let struck = await this.#strike(series, at);
      // How many calls there are depends on how often the database is opened meanwhile.
      for (let i = 1; i < STRIKES && at <= report.calls && isSpared(struck); i++)
        struck = await this.#strike(series, at);
      const first = struck.calls.find(isHit);
      if (first === undefined) {
        if (at > report.calls) break;
        report.spared++;
        continue;
      }
      count(report.struck, kindOf(first.slice(2), this.#outer));
      count(report.said, struck.said);
      const where = `${series.command}, ${series.disk}, ${series.fault} at ${at} (${first.slice(2)}): ${struck.said}`;
      const wrong = struck.wrong ?? (await this.#look(series.command, struck.done).catch(String));
      if (wrong !== undefined) report.failures.push(`${where}: ${wrong}`);
    }
    return report;
  }

  /** The vault that a command finds: two objects, and for `gc` what a killed overwrite and nobody left. */
  async #base(command: Command): Promise<void> {
    await rm(this.#home, { recursive: true, force: true });
    const roots = Array.from({ length: PROVIDERS }, (_, i) => join(this.#home, 'providers', `p${i}`));
    const providers = roots.map(
      (root, i) => `[[providers]]\nid = "p${i}"\nadapter = "fs"\nroot = "${root}"\n`,
    );
    const own = '[retention]\nreplaced_seconds = 0\n[limits]\nmax_attempts = 1\n';
    await writeFile(this.#config, `${own}${providers.join('')}`);
    const { createVault } = await library();
    const vault = await createVault({ home: this.#home, config: this.#config, unwrapped: true, env: {} });
    for (const name of ['x', 'y']) await vault.putObject(OLD, { name });
    await vault.close();
    if (command === 'recover') await rm(join(this.#home, 'engine'), { recursive: true });
    if (command === 'gc') await this.#litter();
    await this.#save(command);
    const held = (await blobs(join(this.#home, 'providers'))).map((path) => /p\d+(?=\/blobs)/.exec(path)![0]);
    const times = (id: string): number => held.filter((other) => other === id).length;
    this.#fullest = held.reduce((most, id) => (times(id) > times(most) ? id : most), 'p0');
  }

  /** A journal of a killed run, and blobs that no record knows, all old enough to be deleted. */
  async #litter(): Promise<void> {
    await this.#save('gc');
    for (let attempt = 0; !(await this.#killedBeforeCommit()); attempt++)
      if (attempt === MAX_ATTEMPTS) throw new Error('no overwrite could be killed after its last blob');
    for (const blob of await blobs(join(this.#home, 'providers')))
      await cp(blob, blob.replace(/[0-9a-f]{8}$/, '00000000'));
    const hourAgo = Date.now() / 1000 - 3600;
    for (const path of await blobs(join(this.#home, 'providers'))) await utimes(path, hourAgo, hourAgo);
  }

  /** How many calls come before depends on how often the database is opened meanwhile. @returns whether it was killed in time. */
  async #killedBeforeCommit(): Promise<boolean> {
    await this.#restore('gc');
    const { calls } = await this.#start(WORDS.overwrite, { FAULT_ROOT: this.#home });
    const lastBlob = calls.findLastIndex((call) => /^- rename .*\/blobs\//.test(call));
    await this.#restore('gc');
    const kill = { FAULT_ERRNO: '0', FAULT_AT: String(lastBlob + 2) };
    const { signal, calls: made } = await this.#start(WORDS.overwrite, { FAULT_ROOT: this.#home, ...kill });
    const blobsAfter = made.filter((call) => /^- rename .*\/blobs\//.test(call)).length;
    if (signal !== 'SIGKILL' || blobsAfter === 0) return false;
    await cp(this.#home, join(this.#outer, 'killed'), { recursive: true, preserveTimestamps: true });
    const vault = await (await library()).openVault({ home: this.#home, config: this.#config, env: {} });
    const x = await read(vault, 'x').finally(() => vault.close());
    await rm(this.#home, { recursive: true });
    await rename(join(this.#outer, 'killed'), this.#home);
    return x?.equals(OLD) === true;
  }

  async #save(command: Command): Promise<void> {
    await rm(join(this.#outer, command), { recursive: true, force: true });
    await cp(this.#home, join(this.#outer, command), { recursive: true, preserveTimestamps: true });
  }

  async #restore(command: Command): Promise<void> {
    await rm(this.#home, { recursive: true, force: true });
    await cp(join(this.#outer, command), this.#home, { recursive: true, preserveTimestamps: true });
    // It is to pass for the original: nobody works on that.
    for (const owner of await readdir(join(this.#home, 'owners')).catch(() => []))
      await rm(join(this.#home, 'owners', owner, 'place'), { force: true });
  }

  async #strike({ command, disk, fault }: Series, at: number): Promise<Struck> {
    await this.#restore(command);
    const providers = join(this.#home, 'providers');
    const [errno, lasting] = fault.split(' ') as ['ENOSPC' | 'EIO', string | undefined];
    const ended = await this.#start([...WORDS[command], '--json'], {
      FAULT_ROOT:
        disk === 'home' ? this.#home : disk === 'provider' ? join(providers, this.#fullest) : providers,
      ...(disk === 'home' ? { FAULT_NOT: providers } : {}),
      FAULT_AT: String(at),
      FAULT_ERRNO: String(constants.errno[errno]),
      ...(lasting === undefined ? {} : { FAULT_LASTING: '1' }),
      ...(errno === 'EIO' ? { FAULT_TORN: '1' } : {}),
    });
    return { calls: ended.calls, ...judged(ended) };
  }

  async #start(words: readonly string[], faults: Readonly<Record<string, string>>): Promise<Ended> {
    const log = join(this.#outer, 'log');
    await rm(log, { force: true });
    const args = [...words, '--home', this.#home, '--config', this.#config];
    const { signal, status, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
      cwd: this.#outer,
      env: {
        UV_THREADPOOL_SIZE: '1',
        UV_USE_IO_URING: '0',
        LD_PRELOAD: this.#shim,
        FAULT_LOG: log,
        ...faults,
      },
      timeout: HANG_MS,
    });
    const calls = (await readFile(log, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
    return { calls, status, signal, stderr: stderr.toString() };
  }

  /** What is wrong with what is left, if anything is. */
  async #look(command: Command, done: boolean): Promise<string | undefined> {
    const vault = await (await library()).openVault({ home: this.#home, config: this.#config, env: {} });
    try {
      if (command === 'recover' && !done) await vault.recover();
      for (const name of ['x', 'y', 'z']) {
        const [changed, before, after] = CHANGES[command] ?? [];
        const untouched = name === 'z' ? undefined : OLD;
        const may = name !== changed ? [untouched] : done ? [after] : [before, after];
        const now = await read(vault, name);
        if (!may.some((bytes) => (bytes === undefined ? now === undefined : now?.equals(bytes))))
          return `${name} is ${now?.subarray(0, 20).toString() ?? 'gone'}`;
      }
      await vault.putObject(NEW, { name: 'after' });
      if (!(await read(vault, 'after'))?.equals(NEW)) return 'what was put afterwards is another';
      return await leftovers(vault, join(this.#home, 'providers'));
    } finally {
      await vault.close();
    }
  }
}

interface Ended {
  /** The lines of the shim. */
  readonly calls: readonly string[];
  readonly status: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

interface Struck {
  readonly calls: readonly string[];
  readonly done: boolean;
  readonly said: string;
  readonly wrong?: string | undefined;
}

/** A command has succeeded, or says in a typed error what is wrong and what to do. */
function judged({ status, signal, stderr }: Ended): Omit<Struck, 'calls'> {
  if (status === null) return { done: false, said: `ended by ${signal}`, wrong: stderr };
  const told = /^\{"error":.*\}$/m.exec(stderr)?.[0];
  const { error, code, hint } = JSON.parse(told ?? '{}') as Partial<Record<string, string>>;
  const done = DONE.has(status);
  const said = code === undefined ? `${status}` : `${status} ${code}`;
  if (/^ +at .*[:(]|Unexpected|Unhandled/m.test(stderr) || error === 'Unexpected')
    return { done, said, wrong: stderr };
  if (done) return { done, said: status === 0 ? 'done' : said };
  if (!TYPED.has(status)) return { done, said, wrong: `exit code ${status}: ${stderr}` };
  if (told !== undefined && hint === undefined) return { done, said, wrong: `no hint: ${told}` };
  return { done, said };
}

/** `gc` leaves nothing that no name stands for, and nothing at all once all is removed. */
async function leftovers(vault: Vault, providers: string): Promise<string | undefined> {
  for (const dryRun of [false, true]) {
    for (const { provider, orphans, error, kept } of (await vault.gc({ minAgeMs: 0, dryRun })).providers)
      if (error !== undefined || kept !== undefined || (dryRun && orphans > 0))
        return `gc leaves ${orphans} orphans at ${provider}, ${kept ?? ''} ${error ?? ''}`;
  }
  for await (const { name } of vault.listObjects()) await vault.deleteObject(name);
  await vault.gc({ minAgeMs: 0 });
  const left = await blobs(providers);
  return left.length === 0 ? undefined : `left at the providers: ${left.join(' ')}`;
}

const library = (): Promise<typeof import('../src/index.ts')> => import(LIBRARY);

const count = (counts: Map<string, number>, key: string): Map<string, number> =>
  counts.set(key, (counts.get(key) ?? 0) + 1);

/** A call and what kind of file it is about, without what is random about its name. */
function kindOf(call: string, outer: string): string {
  const path = call.replace(`${outer}/home`, '');
  return path
    .replace(/\/(?:owners|blobs|slots|providers|tmp)\/[^/]+/g, (part) => part.slice(0, part.lastIndexOf('/')))
    .replace(/\/blobs\/[0-9a-f]+$/, '/blobs')
    .replace(/\d{6}/, 'N')
    .replace(/\/\d+$/, '');
}
