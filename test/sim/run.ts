import { Checks } from './checks.ts';
import { Client } from './client.ts';
import { Files } from './files.ts';
import { ForeignVault } from './foreign.ts';
import { Guard } from './guard.ts';
import { Mended } from './mended.ts';
import { Model } from './model.ts';
import { configOf, Home, SimProcess, type Stage } from './process.ts';
import { NO_FAULTS, SimProvider } from './provider.ts';
import { SealedRecords } from './sealed.ts';
import { type Streams, streamsOf } from './streams.ts';
import { type Swarm, swarmOf } from './swarm.ts';
import { type Tending, tended, tendingOf } from './tending.ts';
import { Trouble } from './trouble.ts';
import { Truth } from './truth.ts';
import { Watch } from './watch.ts';
import { Workers } from './workers.ts';
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
/** Nothing that was begun goes wrong any more after so long. */
const CALM_MS = 3 * MINUTE;
/** The checks end by then. */
const CHECKED_MS = 4 * 24 * 60 * MINUTE;
/** Older than anything that a living put has not yet made a record of. */
const GC_AGE_MS = 5_000;

/** One seed from its beginning to its end. The same seed gives the same result, on every machine. */
export async function runSeed(seed: number): Promise<RunResult> {
  const guard = new Guard();
  const run = new Run(seed, process.env.SIM_TRACE === '1' && seed > 0);
  try {
    await run.all();
  } finally {
    guard.end();
  }
  for (const escaped of guard.escapes) run.violations.add(escaped);
  return run.result();
}

/** What is loaded late is loaded before any run counts. */
export async function warmUp(): Promise<void> {
  for (let i = 0; i < 3; i++) await runSeed(-1 - i);
}

/** Of a run that is looked after. */
interface Care {
  readonly workers: Workers;
  readonly mended: Mended;
}

class Run {
  readonly violations: Set<string> = new Set();
  readonly #seed: number;
  readonly #world: World;
  readonly #model = new Model();
  readonly #streams: Streams;
  readonly #swarm: Swarm;
  readonly #providers: readonly SimProvider[];
  readonly #homes: Home[];
  readonly #stage: Stage;
  readonly #client: Client;
  readonly #trouble: Trouble;
  readonly #files: Files;
  readonly #tending: Tending | undefined;
  readonly #care: Care | undefined;
  #changesLeft: number;

  constructor(seed: number, aloud: boolean) {
    this.#seed = seed;
    this.#world = new World(aloud);
    this.#streams = streamsOf(seed);
    const drawn = swarmOf(this.#streams.swarm);
    this.#tending = tendingOf(this.#streams.upkeep, drawn);
    const swarm = this.#tending === undefined ? drawn : tended(drawn);
    this.#swarm = swarm;
    const ids = Array.from({ length: swarm.providers }, (_, i) => `p${i + 1}`);
    const records = new SealedRecords((where) =>
      this.violations.add(`a nonce sealed two things in ${where}`),
    );
    const around = { world: this.#world, streams: this.#streams, records };
    this.#providers = ids.map((id) => new SimProvider(id, around));
    const { noLocks } = swarm;
    this.#homes = Array.from({ length: swarm.homes }, (_, i) => new Home(`${i + 1}`, { noLocks }));
    this.#model.strict =
      swarm.homes === 1 && swarm.restores + swarm.losses + swarm.rottenNames + swarm.copies === 0;
    this.#changesLeft = swarm.changes;
    this.#files = new Files(this.#streams.files);
    const violation = (what: string): void => {
      if (!this.violations.has(what)) this.#world.note('violated', what);
      this.violations.add(what);
    };
    const config = configOf(ids, swarm, this.#tending);
    const watched = { disk: this.#homes[0]!.disk, providers: this.#providers, domains: config.providers };
    const truth = new Truth(watched);
    const watch =
      this.#tending &&
      new Watch({
        world: this.#world,
        truth,
        leasesLapse: swarm.noLocks,
        egressPerDay: this.#tending.egressPerDay,
        violation,
      });
    for (const provider of watch ? this.#providers : [])
      provider.onDeleted = (address) => watch?.deleted(provider.id, address);
    this.#stage = { ...around, watch, providers: this.#providers, config, sealed: new Map(), violation };
    this.#client = new Client({
      ...this.#stage,
      model: this.#model,
      mustSucceed: swarm.calm,
      onCall: (process) => this.#strike(process),
      onAcknowledged: (process) => this.#cutPower(process),
    });
    this.#care = this.#tending && this.#careOf(this.#tending, truth);
    this.#trouble = new Trouble({
      ...this.#stage,
      swarm,
      homes: this.#homes,
      isOver: () => this.#isOver,
      launch: (home) => this.#launch(home),
      kill: (process) => this.#kill(process),
      killAll: (home) => this.#killAll(home),
      copy: (home) => void this.#copy(home),
    });
  }

  async all(): Promise<void> {
    const foreign = this.#swarm.foreign ? new ForeignVault(this.#stage) : undefined;
    await this.#until(foreign?.begin());
    await this.#faultyPart();
    await this.#quietPart(foreign);
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

  #careOf(tending: Tending, truth: Truth): Care {
    const home = this.#homes[0]!;
    const around = { stage: this.#stage, client: this.#client, tending, home };
    const workers = new Workers({
      ...around,
      calm: this.#swarm.calm,
      isOver: () => this.#isOver,
      kill: (process) => this.#kill(process),
    });
    return { workers, mended: new Mended({ ...around, workers, truth, victim: this.#providers[0]! }) };
  }

  get #isOver(): boolean {
    return this.#changesLeft <= 0;
  }

  /** Work under faults. */
  async #faultyPart(): Promise<void> {
    for (const provider of this.#providers) provider.faults = this.#swarm.faults;
    for (const home of this.#homes) {
      home.disk.errors = this.#swarm.diskErrors;
      for (let i = 0; i < this.#swarm.processesPerHome; i++) this.#launch(home);
    }
    this.#trouble.plan();
    this.#care?.workers.start(this.#providers[0]!);
    await this.#world.run(() => this.#isOver && this.#client.isIdle, 20 * MINUTE, MAX_STEPS);
    this.#changesLeft = 0;
    for (const home of this.#homes) this.#killAll(home);
  }

  #launch(home: Home): void {
    SimProcess.start(this.#stage, home).then(
      (process) => {
        for (let i = 0; i < this.#swarm.clients; i++) void this.#work(process);
      },
      (error) => {
        this.#world.count(`error open ${error}`);
        if (home.disk.errors === 0) this.violations.add(`a vault did not open: ${error}`);
        else this.#world.schedule(1_000, () => !this.#isOver && this.#launch(home));
      },
    );
  }

  /** Between two calls of a client, at most. */
  get #pauseMs(): number {
    return this.#tending === undefined ? 3_000 : 9_000;
  }

  #killAll(home: Home): void {
    for (const process of [...home.processes]) this.#kill(process);
  }

  #kill(process: SimProcess): void {
    process.kill();
    this.#client.died(process);
  }

  async #copy(home: Home): Promise<void> {
    const copy = await home.copy(`${home.id} copied`);
    this.#homes.push(copy);
    this.#launch(copy);
  }

  /** Now and then a process is killed while a call lasts, wherever that has come to. */
  #strike(process: SimProcess): void {
    const { trouble } = this.#streams;
    if (this.#isOver || !trouble.chance(this.#swarm.struck)) return;
    process.life.after(1_500 * trouble.next() ** 2, () => {
      if (this.#isOver) return;
      this.#world.fired('kill in a call');
      this.#world.note('kill in a call', process.home.id);
      this.#trouble.kill(process);
    });
  }

  /** Now and then the power fails as soon as something was acknowledged. */
  #cutPower({ home }: SimProcess): void {
    if (this.#isOver || !this.#streams.trouble.chance(this.#swarm.cutWhenAcknowledged)) return;
    this.#world.fired('power cut after an acknowledgement');
    this.#world.note('power cut after an acknowledgement', home.id);
    this.#trouble.powerCut(home);
  }

  /** Calls one after the other, until there have been enough or its process has died. */
  async #work(process: SimProcess): Promise<void> {
    const { workload, schedule } = this.#streams;
    while (!this.#isOver) {
      await process.life.sleep(this.#pauseMs * schedule.next());
      if (this.#isOver) return;
      await this.#callOnce(process, `n${workload.between(1, this.#swarm.names)}`);
    }
  }

  async #callOnce(process: SimProcess, name: string): Promise<void> {
    const { workload } = this.#streams;
    const draw = workload.next();
    const client = this.#client;
    if (draw < 0.52) {
      this.#changesLeft--;
      this.#care?.workers.changed(1 - this.#changesLeft / this.#swarm.changes);
    }
    if (draw < 0.25 && this.#swarm.files)
      await client.putFile(process, this.#files.nameOr(name), this.#files);
    else if (draw < 0.4) await client.put(process, name, this.#content());
    else if (draw < 0.52) await client.remove(process, name);
    else if (draw < 0.85) await client.get(process, name, false);
    else if (draw < 0.9) await client.list(process, false);
    else if (draw < 0.95) await client.call('verify', process, () => process.vault.verifyObject(name));
    else if (draw < 0.98) await client.call('gc', process, () => process.vault.gc({ minAgeMs: GC_AGE_MS }));
    else await client.recover(process);
  }

  #content(): Uint8Array {
    const { workload } = this.#streams;
    const most = workload.pick([64, 1_000, 6_000, 6_000, 20_000, 150_000]);
    return workload.bytes(workload.between(8, most));
  }

  /** Nothing goes wrong any more: everything that was acknowledged is there, and what nobody needs goes. */
  async #quietPart(foreign: ForeignVault | undefined): Promise<void> {
    for (const provider of this.#providers) {
      provider.faults = NO_FAULTS;
      provider.away = false;
      provider.lies = undefined;
    }
    for (const { disk } of this.#homes) {
      disk.full = false;
      disk.errors = 0;
    }
    await this.#world.run(() => false, this.#world.nowMs + CALM_MS, MAX_STEPS);
    const checks = new Checks({
      stage: this.#stage,
      swarm: this.#swarm,
      model: this.#model,
      client: this.#client,
      homes: this.#homes,
      foreign,
      mended: this.#care?.mended,
    });
    await this.#until(checks.all());
    for (const home of this.#homes) this.#killAll(home);
  }

  /** Lets time pass until something is done, which it must be. */
  async #until(work: Promise<void> | undefined): Promise<void> {
    let over = work === undefined;
    work?.then(
      () => {
        over = true;
      },
      (error) => {
        this.violations.add(`the checks ended: ${error instanceof Error ? error.stack : error}`);
        over = true;
      },
    );
    if (await this.#world.run(() => over, this.#world.nowMs + CHECKED_MS, MAX_STEPS)) return;
    this.violations.add(this.#world.steps >= MAX_STEPS ? 'too many steps' : 'the checks came to no end');
  }
}
