import { type ChildProcess, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { shimIn } from './faults-run.ts';
import { type Books, GATEWAYS, ReceiptsJudge } from './kill-receipts-judge.ts';
import { mulberry } from './kill-vaults.ts';
import type { ChooseStrikes } from './strikes.ts';

const LIBRARY = pathToFileURL(`${resolve('dist')}/`).href;
const CHILD = resolve('test/fixtures/kill-receipts.mjs');
const HANG_MS = 120_000;
/** A call that no life comes to. */
const NEVER = 1_000_000_000;
const FIRST_HOUR = 500_000;
/** Hours of one life, if it comes to its end. */
const HOURS = 3;
/** Of so many kills one is followed by a life that nobody ends. */
const WHOLE_EVERY = 10;
/** Of so many kills one begins a new home: a multiple of the one above. */
const NEW_EVERY = 50;
/** Of so many lives one has another process beside it, which settles the same and is killed as well. */
const BESIDE_EVERY = 3;

const CONFIG = `
[settlement]
enabled = true
folders = ["gw-a", "gw-b"]
pool_credits = 1000000
epoch_share = 1000
provider_share = 1000
min_readers = 1
${['p1', 'p2', 'p3'].map((id) => `[[providers]]\nid = "${id}"\nadapter = "memory"\n`).join('\n')}`;

export interface ReceiptKills {
  kills: number;
  /** Lives that came to their end. */
  whole: number;
  homes: number;
  taken: number;
  /** What the last thing was that a killed process had said. */
  readonly after: Map<string, number>;
  books: Books | undefined;
  readonly failures: string[];
}

interface Line {
  readonly ready?: true;
  readonly hour?: number;
  readonly gateway?: number;
  readonly taken?: string;
  readonly root?: number;
  readonly settled?: number;
  readonly ended?: true;
  readonly wrong?: string;
}

/** A home with two gateways, and the processes that work on it one after the other. */
class Gateways {
  readonly home: string;
  readonly judge: ReceiptsJudge;
  readonly report: ReceiptKills;
  readonly taken: readonly Set<string>[] = GATEWAYS.map(() => new Set<string>());
  hour = FIRST_HOUR;
  /** How long a life takes from the moment at which it is ready. */
  usualMs = 500;

  constructor(home: string, report: ReceiptKills) {
    this.home = home;
    this.judge = new ReceiptsJudge(home);
    this.report = report;
  }

  async make(): Promise<void> {
    await mkdir(this.home, { recursive: true });
    await writeFile(join(this.home, 'storage.toml'), CONFIG);
  }

  /** @param killAt share of its time after which it is killed; below 0 while it starts. Undefined: it comes to its end. */
  async live(killAt: number | undefined, env: NodeJS.ProcessEnv = {}, hours = HOURS): Promise<boolean> {
    const life = new Life([this.home, `${this.hour}`, `${hours}`], env);
    life.onLine = (line) => this.#hear(line);
    const ended = await life.run(killAt, this.usualMs);
    if (ended) this.usualMs = this.usualMs * 0.8 + life.livedMs * 0.2;
    else {
      this.report.kills++;
      this.report.after.set(life.last, (this.report.after.get(life.last) ?? 0) + 1);
    }
    return ended;
  }

  /** Settles beside the other. */
  async beside(killAt: number): Promise<void> {
    const life = new Life([this.home, `${this.hour + 100}`, '1', 'settle'], {});
    life.onLine = (line) => this.#hear(line);
    if (!(await life.run(killAt, this.usualMs))) this.report.kills++;
  }

  #hear({ hour, gateway, taken, wrong }: Line): void {
    if (hour !== undefined) this.hour = Math.max(this.hour, hour);
    if (wrong !== undefined) throw new Error(wrong);
    if (taken === undefined) return;
    this.taken[gateway!]!.add(taken);
    this.report.taken++;
  }
}

class Life {
  readonly #child: ChildProcess;
  #stderr = '';
  #failure: unknown;
  onLine: (line: Line) => void = () => {};
  last = 'start';
  livedMs = 0;

  constructor(words: readonly string[], env: NodeJS.ProcessEnv) {
    this.#child = spawn(process.execPath, [CHILD, LIBRARY, ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, ...env },
    });
    this.#child.stderr!.on('data', (bytes: Buffer) => {
      this.#stderr = `${this.#stderr}${bytes.toString()}`.slice(-2_000);
    });
  }

  /** @returns whether it came to its end. @throws Error when it ended badly, or said that something is wrong. */
  async run(killAt: number | undefined, usualMs: number): Promise<boolean> {
    let hung = false;
    const timers = [
      setTimeout(() => {
        hung = true;
        this.#child.kill('SIGKILL');
      }, HANG_MS),
    ];
    const kill = (ms: number): void => void timers.push(setTimeout(() => this.#child.kill('SIGKILL'), ms));
    if (killAt !== undefined && killAt < 0) kill(-killAt * usualMs);
    let readyAt = 0;
    const read = createInterface(this.#child.stdout!).on('line', (text) => {
      const line = JSON.parse(text) as Line;
      this.last = Object.keys(line).find((key) => key !== 'gateway') ?? this.last;
      if (line.ready) readyAt = performance.now();
      if (line.ready && killAt !== undefined && killAt >= 0) kill(killAt * usualMs);
      try {
        this.onLine(line);
      } catch (error) {
        this.#failure ??= error;
      }
    });
    const drained = new Promise((done) => read.once('close', done));
    const [code, signal] = await new Promise<[number | null, string | null]>((done) =>
      this.#child.once('close', (...how) => done(how)),
    );
    await drained;
    for (const timer of timers) clearTimeout(timer);
    this.livedMs = performance.now() - readyAt;
    if (this.#failure !== undefined) throw this.#failure;
    if (hung) throw new Error(`it takes more than ${HANG_MS / 1000} s after ${this.last}`);
    if (code === 0) return true;
    if (signal === 'SIGKILL') return false;
    throw new Error(`it ended with ${code ?? signal}: ${this.#stderr}`);
  }
}

const newReport = (): ReceiptKills => ({
  ...{ kills: 0, whole: 0, homes: 0, taken: 0, books: undefined },
  ...{ after: new Map(), failures: [] },
});

export interface ReceiptKillOptions {
  readonly count: number;
  readonly seed: number;
  readonly folder: string;
  readonly signal?: AbortSignal | undefined;
  readonly onKill?: ((report: ReceiptKills) => void) | undefined;
}

/**
 * Kills gateways at random instants while they write down reads, close hours and settle them, and looks after every kill:
 * no hour has two roots, finals or credits, and debits equal credits. After a life that nobody ended each hour has one of
 * each, and every read that was acknowledged is there once.
 */
export async function killReceipts({
  count,
  seed,
  folder,
  signal,
  onKill,
}: ReceiptKillOptions): Promise<ReceiptKills> {
  const report = newReport();
  const random = mulberry(seed);
  const outer = await mkdtemp(join(folder, 'holdfast-receipt-kills-'));
  try {
    let one = await newGateways(outer, report);
    for (let round = 0; report.kills < count && signal?.aborted !== true; round++) {
      // Old homes have many hours, and each process looks at all of them.
      if (round > 0 && round % NEW_EVERY === 0) one = await newGateways(outer, report);
      const at = random() < 0.1 ? -random() : random() * 1.1;
      const [besideAt, hasBeside] = [random() * 1.1, round % BESIDE_EVERY === 0];
      await Promise.all([one.live(at), hasBeside ? one.beside(besideAt) : undefined]);
      await one.judge.look();
      if (round % WHOLE_EVERY === WHOLE_EVERY - 1) await comeToEnd(one);
      onKill?.(report);
    }
    await comeToEnd(one);
    await rm(outer, { recursive: true, force: true });
  } catch (error) {
    report.failures.push(`${outer}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return report;
}

async function newGateways(outer: string, report: ReceiptKills): Promise<Gateways> {
  const home = join(outer, 'home');
  await rm(home, { recursive: true, force: true });
  const one = new Gateways(home, report);
  await one.make();
  await one.live(undefined);
  report.homes++;
  return one;
}

async function comeToEnd(one: Gateways): Promise<void> {
  one.hour++;
  if (!(await one.live(undefined))) throw new Error('somebody else killed it');
  one.report.whole++;
  one.report.books = await one.judge.lookAtEnd(one.taken);
}

export interface ReceiptCalls extends ReceiptKills {
  /** Calls of one life that change a file. */
  calls: number;
  torn: number;
  /** What the file of the call is, by how many kills. */
  readonly struck: Map<string, number>;
}

/** Kills them before some of the calls that change a file, and in the middle of those that write. Needs a C compiler. */
export async function killReceiptsAtCalls(folder: string, choose: ChooseStrikes): Promise<ReceiptCalls> {
  const report: ReceiptCalls = { ...newReport(), calls: 0, torn: 0, struck: new Map() };
  const outer = await mkdtemp(join(folder, 'holdfast-receipt-calls-'));
  const shim = shimIn(outer);
  if ('why' in shim) throw new Error(shim.why);
  const base = join(outer, 'base');
  const before = new Gateways(base, report);
  await before.make();
  await before.live(undefined, {}, 1);
  try {
    const given = { outer, shim: shim.path, before };
    report.calls = (await liveUntil({ ...given, at: NEVER, torn: false })).calls.length;
    const { first, step, beyond } = choose(report.calls);
    for (let [at, call] = [first, '']; beyond || at <= report.calls; at += step) {
      call = await strikeCall({ ...given, at, torn: false });
      if (call === '' && at > report.calls) break;
      if (call.startsWith('write') && (await strikeCall({ ...given, at, torn: true })) !== '') report.torn++;
    }
    await rm(outer, { recursive: true, force: true });
  } catch (error) {
    report.failures.push(`${outer}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return report;
}

interface CallStrike {
  readonly outer: string;
  readonly shim: string;
  readonly before: Gateways;
  readonly at: number;
  readonly torn: boolean;
}

interface StruckLife {
  readonly one: Gateways;
  readonly killed: boolean;
  /** That changed a file, in order: name and path. */
  readonly calls: readonly string[];
}

/** The next hour of a copy, up to a call. */
async function liveUntil({ outer, shim, before, at, torn }: CallStrike): Promise<StruckLife> {
  const { report } = before;
  const home = join(outer, 'home');
  await rm(home, { recursive: true, force: true });
  await cp(before.home, home, { recursive: true });
  const one = new Gateways(home, report);
  for (const [i, ids] of before.taken.entries()) for (const id of ids) one.taken[i]!.add(id);
  one.hour = before.hour + 1;
  const log = join(outer, 'log');
  await rm(log, { force: true });
  const given = { FAULT_ROOT: home, FAULT_LOG: log, FAULT_AT: `${at}`, FAULT_ERRNO: '0' };
  const env = { ...given, LD_PRELOAD: shim, UV_THREADPOOL_SIZE: '1', ...(torn ? { FAULT_TORN: '1' } : {}) };
  const killed = !(await one.live(undefined, env, 1));
  const lines = (await readFile(log, 'utf8')).trimEnd().split('\n');
  return { one, killed, calls: lines.map((line) => line.slice(2)) };
}

/** @returns the call at which it was killed; empty when its life had fewer. */
async function strikeCall(given: CallStrike): Promise<string> {
  const report = given.before.report as ReceiptCalls;
  const { one, killed, calls } = await liveUntil(given);
  const call = killed ? (calls[given.at - 1] ?? 'unknown') : '';
  if (killed) {
    const kind = kindOf(call);
    report.struck.set(kind, (report.struck.get(kind) ?? 0) + 1);
    await one.judge.look().catch((error: Error) => {
      throw new Error(`${given.torn ? 'in' : 'before'} call ${given.at}, ${call}: ${error.message}`);
    });
  }
  await comeToEnd(one);
  return call;
}

/** Which of the steps a call belongs to. */
function kindOf(call: string): string {
  if (/\/anchor\//.test(call)) return 'anchor';
  if (/\.final/.test(call)) return 'final';
  if (/\.root/.test(call)) return 'root';
  if (/\/engine\//.test(call)) return 'ledger';
  return /\.cbor/.test(call) ? 'append' : 'other';
}
