import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../src/core/clock.ts';
import { launchServer, type RunningServer } from '../test/servers/servers.ts';
import { LIBRARY, mulberry } from './kill-vaults.ts';
import { judge, type Operation, type Verdict } from './linearizable.ts';
import { type MeasuredPuts, measurePuts, putsLine } from './shared-puts.ts';
import { claimsPerSecond, SCHEMA, sharedConfig } from './shared-vault.ts';
import { idIn, readName, type WriterTask } from './shared-writer.ts';

const CLI = resolve('dist/cli/main.js');
const WRITER = join(fileURLToPath(new URL('.', import.meta.url)), 'shared-writer.js');
const NAMES = 60;
const FIRST_PORT = 33_100;
/** Declared lost in the midst of it, so that the daemons have something to do. */
const LOST = 'p5';

export interface SharedKillsOptions {
  readonly seconds: number;
  readonly killEveryMs: number;
  readonly seed: number;
  say(text: string): void;
}

export interface SharedKills extends Verdict {
  readonly kills: number;
  readonly restarts: number;
  readonly pending: number;
  readonly failed: ReadonlyMap<string, number>;
  readonly lost: readonly string[];
  readonly repaired: number;
  readonly repairedTwice: readonly string[];
  readonly claimsPerSecond: number;
  readonly puts: readonly MeasuredPuts[];
}

interface Member {
  readonly name: string;
  start(): ChildProcess;
  child: ChildProcess;
}

interface RepairLine {
  readonly kind: string;
  readonly manifest: string;
  readonly segment?: string;
  readonly chunk?: number;
  readonly status: string;
}

/** Several machines' worth of processes on one PostgreSQL, which are killed at random. */
export async function killShared(options: SharedKillsOptions): Promise<SharedKills> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-shared-'));
  const server = await launchServer('postgres');
  if ('missing' in server) throw new Error(server.missing);
  const run = new SharedRun(folder, server, options);
  try {
    return await run.all();
  } finally {
    await run.end();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

class SharedRun {
  readonly #folder: string;
  readonly #server: RunningServer;
  readonly #options: SharedKillsOptions;
  readonly #url: string;
  readonly #members: Member[] = [];
  readonly #history: Operation[] = [];
  readonly #failed = new Map<string, number>();
  #stopped = false;

  constructor(folder: string, server: RunningServer, options: SharedKillsOptions) {
    this.#folder = folder;
    this.#server = server;
    this.#options = options;
    this.#url = `postgres://holdfast@127.0.0.1:${server.port}/postgres`;
  }

  async all(): Promise<SharedKills> {
    const { say } = this.#options;
    await this.#makeHomes(['g1', 'g2', 'g3', 'd1', 'd2', 'w1', 'w2', 'w3', 'last']);
    const claims = await claimsPerSecond(this.#url);
    say(`${claims} claims/s in batches`);
    const puts: MeasuredPuts[] = [];
    for (const count of [1, 2, 3]) {
      puts.push(await this.#puts(count));
      say(putsLine(puts.at(-1)!));
    }
    const { kills, restarts } = await this.#mixedLoad();
    say(`${kills} kills, ${restarts} restarts, ${this.#history.length} operations; now it is checked`);
    const lost = await this.#readAll();
    const verdict = judge(this.#history);
    const repairs = await this.#repairs();
    const pending = this.#history.filter(({ ended }) => ended === Number.POSITIVE_INFINITY).length;
    const failed = this.#failed;
    return {
      ...verdict,
      ...repairs,
      kills,
      restarts,
      pending,
      failed,
      lost,
      claimsPerSecond: claims,
      puts,
    };
  }

  async end(): Promise<void> {
    this.#stopped = true;
    for (const { child } of this.#members) child.kill('SIGKILL');
  }

  #env(): NodeJS.ProcessEnv {
    return { ...process.env, HOLDFAST_POSTGRES_URL: this.#url, HOLDFAST_GATEWAY_TOKEN: 'bench' };
  }

  /** Each stands for a machine: a home of its own, the key of all, and the same providers. */
  async #makeHomes(names: readonly string[]): Promise<void> {
    const file = join(this.#folder, 'holdfast.toml');
    await writeFile(file, sharedConfig(this.#folder));
    const first = this.#home(names[0]!);
    await this.#command(['init', '--unwrapped', '--home', first, '--config', file]);
    for (const name of names.slice(1)) {
      await mkdir(this.#home(name), { recursive: true });
      await copyFile(join(first, 'vault.key'), join(this.#home(name), 'vault.key'));
      await copyFile(file, join(this.#home(name), 'storage.toml'));
    }
  }

  #home(name: string): string {
    return join(this.#folder, 'homes', name);
  }

  async #command(args: readonly string[]): Promise<string> {
    const child = spawn(process.execPath, [CLI, ...args], { env: this.#env() });
    let out = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (out += part));
    const [code] = (await once(child, 'close')) as [number];
    if (code !== 0 && code !== 4 && code !== 8) throw new Error(`${args[0]} ended with ${code}: ${out}`);
    return out;
  }

  /** How many puts a second so many processes make together. */
  async #puts(processes: number): Promise<MeasuredPuts> {
    const members = Array.from({ length: processes }, (_, i) => this.#writer(`w${i + 1}`, true));
    this.#members.push(...members);
    for (const member of members) member.child = member.start();
    await this.#until(
      () => this.#history.filter(({ ended }) => ended !== Infinity).length > processes * 3,
      60_000,
    );
    const pids = members.map(({ child }) => child.pid!);
    const measured = await measurePuts(this.#server, this.#url, pids, () => this.#history.length);
    for (const { child } of this.#members.splice(0)) child.kill('SIGKILL');
    await systemClock.sleep(500);
    this.#history.length = 0;
    return measured;
  }

  #writer(name: string, putsOnly: boolean): Member {
    const task: WriterTask = {
      ...{ home: this.#home(name), library: LIBRARY, url: this.#url, schema: SCHEMA, writer: name, putsOnly },
      ...{ names: NAMES, lanes: 4 },
    };
    const start = (): ChildProcess => {
      const child = spawn(process.execPath, [WRITER, JSON.stringify(task)], {
        env: this.#env(),
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      this.#follow(child);
      return child;
    };
    return { name, start, child: undefined as unknown as ChildProcess };
  }

  #service(name: string, command: string, port: number): Member {
    const args = [
      CLI,
      command,
      '--home',
      this.#home(name),
      '--bind',
      `127.0.0.1:${port}`,
      '--access-log',
      'off',
    ];
    const start = (): ChildProcess => spawn(process.execPath, args, { env: this.#env(), stdio: 'ignore' });
    return { name, start, child: undefined as unknown as ChildProcess };
  }

  /** What its operations came to; those that it does not live to tell of have no end. */
  #follow(child: ChildProcess): void {
    const open = new Map<number, Omit<Operation, 'ended'>>();
    const never = (operation: Omit<Operation, 'ended'>): void => {
      if (operation.what.kind !== 'read')
        this.#history.push({ ...operation, ended: Number.POSITIVE_INFINITY });
    };
    createInterface({ input: child.stdout! }).on('line', (line) => {
      let said: {
        number: number;
        register: string;
        call?: number;
        ended?: number;
        failed?: string;
        what: Operation['what'];
      };
      try {
        said = JSON.parse(line);
      } catch {
        return;
      }
      const operation = open.get(said.number);
      if (said.call !== undefined)
        open.set(said.number, { register: said.register, call: said.call, what: said.what });
      if (operation === undefined) return;
      open.delete(said.number);
      if (said.failed !== undefined) {
        this.#failed.set(said.failed, (this.#failed.get(said.failed) ?? 0) + 1);
        never(operation);
      } else this.#history.push({ ...operation, what: said.what, ended: said.ended! });
    });
    child.on('close', () => {
      for (const operation of open.values()) never(operation);
      open.clear();
    });
  }

  async #mixedLoad(): Promise<{ readonly kills: number; readonly restarts: number }> {
    const { seconds, killEveryMs, seed, say } = this.#options;
    const random = mulberry(seed);
    for (const [i, name] of ['g1', 'g2', 'g3'].entries())
      this.#members.push(this.#service(name, 'gateway', FIRST_PORT + i));
    for (const [i, name] of ['d1', 'd2'].entries())
      this.#members.push(this.#service(name, 'daemon', FIRST_PORT + 10 + i));
    for (const name of ['w1', 'w2']) this.#members.push(this.#writer(name, false));
    for (const member of this.#members) member.child = member.start();
    const began = performance.now();
    const passed = (): number => (performance.now() - began) / 1000;
    const readers = [0, 1, 2].map((gateway) => this.#readThrough(FIRST_PORT + gateway, random));
    let [kills, restarts, declared] = [0, 0, false];
    while (passed() < seconds) {
      await systemClock.sleep(killEveryMs * (0.5 + random()));
      const victim = this.#members[Math.floor(random() * this.#members.length)]!;
      victim.child.kill('SIGKILL');
      victim.child = victim.start();
      kills++;
      if (!declared && passed() > seconds / 4) {
        declared = true;
        await this.#command(['providers', 'lost', LOST, 'on', '--home', this.#home('last')]);
      }
      if (restarts < 2 && passed() > (seconds * (restarts + 1)) / 3) {
        restarts++;
        await this.#server.kill();
        await systemClock.sleep(1_000);
        await this.#server.restart();
      }
      if (kills % 10 === 0)
        say(`${passed().toFixed(0)} s: ${kills} kills, ${this.#history.length} operations`);
    }
    this.#stopped = true;
    await Promise.all(readers);
    for (const { child } of this.#members.splice(0)) {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
    }
    return { kills, restarts };
  }

  async #readThrough(port: number, random: () => number): Promise<void> {
    const now = (): number => Number(process.hrtime.bigint() / 1000n);
    while (!this.#stopped) {
      const register = `name ${Math.floor(random() * NAMES)}`;
      const call = now();
      try {
        const answer = await fetch(`http://127.0.0.1:${port}/n/${encodeURIComponent(register)}`, {
          headers: { authorization: 'Bearer bench' },
          signal: AbortSignal.timeout(20_000),
        });
        const body = new Uint8Array(await answer.arrayBuffer());
        if (answer.status !== 200 && answer.status !== 404) throw new Error(`HTTP ${answer.status}`);
        const saw = answer.status === 404 ? null : idIn(body);
        this.#history.push({ register, call, ended: now(), what: { kind: 'read', saw } });
      } catch (error) {
        const why = `gateway: ${(error as Error).message}`;
        this.#failed.set(why, (this.#failed.get(why) ?? 0) + 1);
        await systemClock.sleep(200);
      }
    }
  }

  /** Names that stand for something that cannot be read; what was read is the end of the history. */
  async #readAll(): Promise<readonly string[]> {
    const { openVault } = (await import(LIBRARY)) as typeof import('../src/index.ts');
    const vault = await openVault({ home: this.#home('last'), env: this.#env() });
    const lost: string[] = [];
    for (let i = 0; i < NAMES; i++) {
      const register = `name ${i}`;
      const call = Number(process.hrtime.bigint() / 1000n);
      try {
        const saw = await readName(vault, register);
        const ended = Number(process.hrtime.bigint() / 1000n);
        this.#history.push({ register, call, ended, what: { kind: 'read', saw } });
      } catch (error) {
        lost.push(`${register}: ${(error as Error).message}`);
      }
    }
    for await (const { name } of vault.listObjects()) {
      try {
        await readName(vault, name);
      } catch (error) {
        lost.push(`${name}: ${(error as Error).message}`);
      }
    }
    await vault.close();
    return lost;
  }

  async #repairs(): Promise<{ readonly repaired: number; readonly repairedTwice: readonly string[] }> {
    const times = new Map<string, number>();
    for (const name of ['d1', 'd2']) {
      const limit = ['--json', '--limit', '100000'];
      const out = await this.#command(['repair-history', ...limit, '--home', this.#home(name)]);
      const entries = JSON.parse(out) as RepairLine[];
      for (const { kind, manifest, segment, chunk, status } of entries) {
        if (status !== 'success' || chunk === undefined) continue;
        const what = `${kind} ${manifest} ${segment ?? ''} ${chunk}`;
        times.set(what, (times.get(what) ?? 0) + 1);
      }
    }
    return { repaired: times.size, repairedTwice: [...times].filter(([, n]) => n > 1).map(([what]) => what) };
  }

  async #until(holds: () => boolean, ms: number): Promise<void> {
    const began = performance.now();
    while (!holds()) {
      if (performance.now() - began > ms) throw new Error('it did not start');
      await systemClock.sleep(50);
    }
  }
}
