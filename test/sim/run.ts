import { isHoldfastError } from '../../src/core/errors.ts';
import { Guard } from './guard.ts';
import { type Change, Model } from './model.ts';
import { configOf, Home, SimProcess, type Stage } from './process.ts';
import { NO_FAULTS, SimProvider } from './provider.ts';
import { type Streams, streamsOf } from './streams.ts';
import { type Swarm, swarmOf } from './swarm.ts';
import { planTrouble } from './trouble.ts';
import { World } from './world.ts';

/** What came of one seed. */
export interface RunResult {
  readonly seed: number;
  /** Of everything that happened, in order. */
  readonly hash: string;
  readonly violations: readonly string[];
  readonly compared: number;
  readonly steps: number;
  readonly virtualMs: number;
  /** Faults that fired, errors and events that were met, operations that ended well. */
  readonly seen: ReadonlyMap<string, number>;
}

const MINUTE = 60_000;
const MAX_STEPS = 300_000;
/** Older than anything that a living put has not yet made a record of. */
const GC_AGE_MS = 5_000;
/** No call of a vault takes longer, whatever its providers do. */
const LONGEST_CALL_MS = 60 * MINUTE;
/** Once nothing goes wrong any more, everything is tidy by then. */
const CONVERGED_MS = 60 * MINUTE;

/** One seed from its beginning to its end. The same seed gives the same result, on every machine. */
export async function runSeed(seed: number): Promise<RunResult> {
  const guard = new Guard();
  const run = new Run(seed);
  try {
    await run.all();
  } finally {
    guard.end();
  }
  for (const read of guard.escapes) run.violations.add(`real time or chance: ${read}`);
  return run.result();
}

class Run {
  readonly violations: Set<string> = new Set();
  readonly #seed: number;
  readonly #world = new World();
  readonly #model = new Model();
  readonly #streams: Streams;
  readonly #swarm: Swarm;
  readonly #providers: readonly SimProvider[];
  readonly #homes: readonly Home[];
  readonly #stage: Stage;
  /** What a dying process leaves behind undecided. */
  readonly #running = new Map<Change, SimProcess>();
  #changesLeft: number;
  #clients = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#streams = streamsOf(seed);
    this.#swarm = swarmOf(this.#streams.swarm);
    const swarm = this.#swarm;
    const ids = Array.from({ length: swarm.providers }, (_, i) => `p${i + 1}`);
    this.#providers = ids.map((id) => new SimProvider(id, this.#world, this.#streams));
    this.#homes = Array.from({ length: swarm.homes }, (_, i) => new Home(`${i + 1}`));
    this.#model.strict = swarm.homes === 1 && swarm.restores === 0;
    this.#changesLeft = swarm.changes;
    this.#stage = {
      world: this.#world,
      streams: this.#streams,
      providers: this.#providers,
      config: configOf(ids, swarm.dataShards, swarm.parityShards),
      sealed: new Map(),
      violation: (what) => this.violations.add(what),
    };
  }

  async all(): Promise<void> {
    await this.#faultyPart();
    await this.#quietPart();
    if (this.#model.compared === 0) this.violations.add('nothing was compared');
  }

  result(): RunResult {
    const { steps, nowMs, seen } = this.#world;
    for (const violation of this.violations) this.#world.note('violation', violation);
    return {
      seed: this.#seed,
      hash: this.#world.traceHash(),
      violations: [...this.violations],
      compared: this.#model.compared,
      steps,
      virtualMs: nowMs,
      seen,
    };
  }

  /** Work under faults. */
  async #faultyPart(): Promise<void> {
    for (const provider of this.#providers) provider.faults = this.#swarm.faults;
    for (const home of this.#homes) {
      for (let i = 0; i < this.#swarm.processesPerHome; i++) this.#launch(home);
    }
    planTrouble({
      world: this.#world,
      streams: this.#streams,
      swarm: this.#swarm,
      homes: this.#homes,
      providers: this.#providers,
      isOver: () => this.#changesLeft <= 0,
      launch: (home) => this.#launch(home),
      kill: (process) => this.#kill(process),
      killAll: (home) => this.#killAll(home),
    });
    await this.#world.run(() => this.#changesLeft <= 0 && this.#running.size === 0, 20 * MINUTE, MAX_STEPS);
    this.#changesLeft = 0;
    for (const home of this.#homes) this.#killAll(home);
  }

  #launch(home: Home): void {
    SimProcess.start(this.#stage, home).then(
      (process) => {
        for (let i = 0; i < this.#swarm.clients; i++) void this.#client(process);
      },
      (error) => this.violations.add(`a vault did not open: ${error}`),
    );
  }

  #killAll(home: Home): void {
    for (const process of [...home.processes]) this.#kill(process);
  }

  #kill(process: SimProcess): void {
    process.kill();
    for (const [change, by] of this.#running) {
      if (by !== process) continue;
      this.#model.end(change, 'doubtful', this.#world.nowMs);
      this.#running.delete(change);
    }
  }

  /** Calls one after the other, until there have been enough or its process has died. */
  async #client(process: SimProcess): Promise<void> {
    const { workload, schedule } = this.#streams;
    this.#clients++;
    while (this.#changesLeft > 0) {
      await process.life.sleep(3_000 * schedule.next());
      if (this.#changesLeft <= 0) return;
      const name = `n${workload.between(1, this.#swarm.names)}`;
      const draw = workload.next();
      if (draw < 0.4) await this.#put(process, name);
      else if (draw < 0.52) await this.#remove(process, name);
      else if (draw < 0.85) await this.#get(process, name, false);
      else if (draw < 0.9) await this.#call('ls', () => this.#list(process));
      else if (draw < 0.95) await this.#call('verify', () => process.vault.verifyObject(name));
      else if (draw < 0.98) await this.#call('gc', () => process.vault.gc({ minAgeMs: GC_AGE_MS }));
      else await this.#recover(process);
    }
  }

  /** @returns undefined when it failed, as it may under faults. */
  async #call<T>(operation: string, work: () => Promise<T>): Promise<T | undefined> {
    const { nowMs } = this.#world;
    try {
      const result = await work();
      this.#world.count(`done ${operation}`);
      return result;
    } catch (error) {
      this.#failed(operation, error);
      return undefined;
    } finally {
      if (this.#world.nowMs - nowMs > LONGEST_CALL_MS) this.violations.add(`${operation} took too long`);
    }
  }

  #failed(operation: string, error: unknown): void {
    if (!isHoldfastError(error)) {
      this.violations.add(`${operation} threw ${error instanceof Error ? error.stack : error}`);
      return;
    }
    this.#world.count(`error ${operation} ${error.kind} ${error.code}`);
    this.#world.note(operation, error.kind, error.code);
    if (error.kind === 'Unexpected') this.violations.add(`${operation} threw ${error.stack}`);
  }

  async #change(process: SimProcess, name: string, content: Uint8Array | undefined): Promise<void> {
    this.#changesLeft--;
    const change = this.#model.begin({ name, content, home: process.home.id, startMs: this.#world.nowMs });
    this.#running.set(change, process);
    const done = await this.#call<unknown>(content === undefined ? 'rm' : 'put', () =>
      content === undefined ? process.vault.deleteObject(name) : process.vault.putObject(content, { name }),
    );
    this.#running.delete(change);
    this.#model.end(change, done === undefined ? 'doubtful' : 'acknowledged', this.#world.nowMs);
    this.#world.note('changed', name, content?.length ?? 'gone', done === undefined ? 'failed' : 'done');
  }

  #put(process: SimProcess, name: string): Promise<void> {
    const { workload } = this.#streams;
    const most = workload.pick([64, 1_000, 6_000, 6_000, 20_000, 150_000]);
    return this.#change(process, name, workload.bytes(workload.between(8, most)));
  }

  #remove(process: SimProcess, name: string): Promise<void> {
    return this.#change(process, name, undefined);
  }

  async #recover(process: SimProcess): Promise<void> {
    // What was in doubt may have reached the slots, and wins then.
    this.#model.strict = false;
    await this.#call('recover', () => process.vault.recover());
  }

  async #list(process: SimProcess): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of process.vault.listObjects()) names.push(name);
    return names;
  }

  /** @param sure every provider answers: nothing but what the model allows may come. */
  async #get(process: SimProcess, name: string, sure: boolean): Promise<Uint8Array | undefined> {
    const startMs = this.#world.nowMs;
    let content: Uint8Array | undefined;
    try {
      const reader = await process.vault.getObject(name);
      content = await reader.bytes();
      this.#world.count('done get');
    } catch (error) {
      this.#failed('get', error);
      if (!isHoldfastError(error, 'NotFound')) {
        if (sure) this.violations.add(`lost: ${name}: ${error}`);
        return undefined;
      }
    }
    this.#world.note('got', name, content?.length ?? 'nothing');
    if (content !== undefined && !this.#model.knows(name, content)) {
      this.violations.add(`wrong bytes: ${name}`);
    } else if (
      (sure || this.#model.strict) &&
      !name.includes('(fork') &&
      !this.#model.allows(name, content, startMs)
    ) {
      this.violations.add(
        content === undefined ? `lost: ${name} is not found` : `stale: ${name} has an older content`,
      );
    }
    return content;
  }

  /** Nothing goes wrong any more: everything that was acknowledged is there, and what nobody needs goes. */
  async #quietPart(): Promise<void> {
    for (const provider of this.#providers) {
      provider.faults = NO_FAULTS;
      provider.away = false;
    }
    for (const { disk } of this.#homes) disk.full = false;
    await this.#pass(3 * MINUTE);
    const work = this.#checks();
    let over = false;
    const end = work.then(
      () => {
        over = true;
      },
      (error) => {
        this.violations.add(`the checks ended: ${error instanceof Error ? error.stack : error}`);
        over = true;
      },
    );
    const until = this.#world.nowMs + 6 * CONVERGED_MS;
    if (!(await this.#world.run(() => over, until, MAX_STEPS))) {
      this.violations.add(this.#world.steps >= MAX_STEPS ? 'too many steps' : 'the checks came to no end');
    }
    for (const home of this.#homes) this.#killAll(home);
    if (over) await end;
  }

  #pass(ms: number): Promise<boolean> {
    return this.#world.run(() => false, this.#world.nowMs + ms, MAX_STEPS);
  }

  async #checks(): Promise<void> {
    const processes: SimProcess[] = [];
    for (const home of this.#homes) processes.push(await SimProcess.start(this.#stage, home));
    if (!this.#model.strict) {
      for (const process of [...processes, ...processes]) {
        await this.#call('recover', () => process.vault.recover());
      }
    }
    for (const process of processes) {
      // Of two homes only the one that recovered last is confirmed, and deletes anything.
      if (process === processes.at(-1)) await this.#converge(process, 'after the faults');
      for (const name of this.#model.names) await this.#get(process, name, true);
    }
    const [first] = processes;
    if (processes.length === 1) await this.#empty(first!);
    for (const process of processes) {
      const left = await process.close();
      if (left > 0) this.violations.add(`memory: ${left} slabs were never released`);
    }
  }

  /** All names go: what is left at providers then, some record must know. */
  async #empty(process: SimProcess): Promise<void> {
    for (const name of await this.#list(process)) {
      const gone = await this.#call('rm', () => process.vault.deleteObject(name));
      if (gone === undefined) this.violations.add(`rm failed: ${name}`);
    }
    await this.#converge(process, 'after everything was removed');
    const left = this.#blobs();
    if (left === 0) return;
    this.#world.count('left for gc');
    // Only a scrub finds what came after its sender was given up, or what an older state never knew.
    const { lateEffect, silent } = this.#swarm.faults;
    const explained = lateEffect > 0 || silent > 0 || !this.#model.strict;
    if (!explained) this.violations.add(`orphans: ${left} blobs that no record knows`);
    const scrubbed = await this.#call('gc', () => process.vault.gc({ minAgeMs: 0 }));
    await this.#converge(process, 'after gc');
    // Where it is not proven that no other vault uses the place, gc only tells.
    const told = scrubbed?.providers.filter(({ kept }) => kept === 'shared').map(({ provider }) => provider);
    if (this.#blobs(told) > 0) this.violations.add(`gc left ${this.#blobs(told)} blobs`);
  }

  #blobs(except: readonly string[] = []): number {
    const counted = this.#providers.filter(({ id }) => !except.includes(id));
    return counted.reduce((sum, { blobs }) => sum + blobs.size, 0);
  }

  /** Waits until housekeeping has nothing left to do. */
  async #converge(process: SimProcess, when: string): Promise<void> {
    const until = this.#world.nowMs + CONVERGED_MS;
    let left = await this.#backlog(process.home);
    while (left.length > 0 && this.#world.nowMs < until) {
      await process.life.sleep(30_000);
      left = await this.#backlog(process.home);
    }
    if (left.length > 0) this.violations.add(`not converged ${when}: ${left.slice(0, 3).join(', ')}`);
  }

  async #backlog({ disk }: Home): Promise<string[]> {
    const left: string[] = [];
    for (const table of ['journal', 'trash', 'retired', 'slots_due']) {
      for await (const [key] of disk.live.table(table).entries({ limit: 3 })) left.push(`${table} ${key}`);
    }
    return left;
  }
}
