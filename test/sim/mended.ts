import type { Client } from './client.ts';
import { startDaemon } from './daemon.ts';
import { type Home, SimProcess, type Stage } from './process.ts';
import type { SimProvider } from './provider.ts';
import type { Tending } from './tending.ts';
import { LEASE_MS } from './trouble.ts';
import type { Truth } from './truth.ts';
import type { Workers } from './workers.ts';

interface Mending {
  readonly stage: Stage;
  readonly tending: Tending;
  readonly home: Home;
  readonly client: Client;
  readonly workers: Workers;
  readonly truth: Truth;
  readonly victim: SimProvider;
}

const DAY_MS = 24 * 3_600_000;
/** Once nothing goes wrong any more, all that was lost is rebuilt by then, … */
const MENDED_MS = DAY_MS;
/** … where no cap makes it wait for other days. */
const CAPPED_MS = 30 * DAY_MS;
/** A daemon reads everything back once a day, and a repair that failed waits for up to six hours. */
const DAEMON_DAYS = 5;
const DAEMON_PAUSE_MS = 10 * 60_000;
/** After so many pauses the machine sleeps for a day. */
const PAUSES_A_DAY = 3;
/** What is moved is settled by then. */
const SETTLED_MS = 2 * 3_600_000;
const FIRST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 7 * 3_600_000;

/** What must hold once nothing goes wrong any more: repair brings back what every certificate promises, and has nothing left to do. */
export class Mended {
  readonly #run: Mending;

  constructor(run: Mending) {
    this.#run = run;
  }

  /** @param keyed has the key, and tidies up meanwhile. */
  async all(keyed: SimProcess): Promise<void> {
    const { stage, tending, home, victim, workers } = this.#run;
    const isLost = tending.harm === 'lost' && stage.world.seen.has('fault lost provider');
    await this.#atPeace(keyed, isLost ? victim.id : undefined);
    const left = stage.providers.filter(({ id }) => !isLost || id !== victim.id).map(({ id }) => id);
    const worker = await SimProcess.start(stage, home, { isWorker: true, sealed: tending.sealed });
    if (tending.daemons && !home.hasLeases) await this.#wait(worker, left);
    else await this.#converge(worker, left);
    await this.#compare(left);
    // Names take the key.
    await workers.repair(keyed);
    await this.#settle(keyed);
    if (isLost) await keyed.vault.providers.setLost(victim.id, false);
    const slabs = await worker.close();
    if (slabs > 0) stage.violation(`memory: a worker left ${slabs} slabs`);
  }

  /** Who has the key finishes what was moved: packs that nobody reads are deleted, and all providers are told. */
  async #settle(keyed: SimProcess): Promise<void> {
    const { stage, home } = this.#run;
    const until = stage.world.nowMs + SETTLED_MS;
    let left = await openWork(home);
    for (let round = 1; left.length > 0 && stage.world.nowMs < until; round++) {
      await keyed.life.sleep(FIRST_PAUSE_MS);
      if (home.hasLeases && round % 10 === 0) aDayGoesBy(keyed);
      left = await openWork(home);
    }
    if (left.length > 0) stage.violation(`moves came to no end: ${left.slice(0, 3).join(', ')}`);
  }

  /** Nobody is kept from taking shards, but who is lost. */
  async #atPeace(keyed: SimProcess, lost: string | undefined): Promise<void> {
    const { providers } = keyed.vault;
    for (const { id } of this.#run.stage.providers) {
      await providers.setLost(id, id === lost);
      if (id !== lost) await providers.setMaintenance(id, false);
    }
  }

  async #converge(worker: SimProcess, left: readonly string[]): Promise<void> {
    const { stage, home, tending, workers } = this.#run;
    const { world } = stage;
    const until = world.nowMs + (tending.egressPerDay === undefined ? MENDED_MS : CAPPED_MS);
    let pauseMs = FIRST_PAUSE_MS;
    let why = 'it never ran';
    for (let round = 0; world.nowMs < until; round++) {
      await workers.scrub(worker);
      const isDone = await workers.repair(worker);
      why = isDone ? await this.#why(worker, left) : 'some repairs did not succeed';
      if (why === '') break;
      world.note('not mended yet', why);
      await worker.life.sleep(pauseMs);
      pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * pauseMs);
      // A day goes by in which those owners' leases stand still.
      if (home.hasLeases && round % 4 === 3) aDayGoesBy(worker);
    }
    if (why !== '') stage.violation(`repair came to no end: ${why}`);
    world.count('seen repair converged');
  }

  /** A daemon alone mends everything. */
  async #wait(worker: SimProcess, left: readonly string[]): Promise<void> {
    const { stage, tending } = this.#run;
    const { world } = stage;
    startDaemon(worker, world);
    const days = tending.egressPerDay === undefined ? DAEMON_DAYS : CAPPED_MS / DAY_MS;
    let why = 'it never ran';
    // Some loops begin after an hour.
    const least = stage.streams.upkeep.between(1, 8);
    for (let pause = 0; pause < days * PAUSES_A_DAY && (why !== '' || pause < least); pause++) {
      if (pause % PAUSES_A_DAY === PAUSES_A_DAY - 1) worker.jump.ms += DAY_MS;
      await worker.life.sleep(DAEMON_PAUSE_MS);
      why = await this.#why(worker, left);
      if (why !== '') world.note('not mended yet', why);
    }
    if (why !== '') stage.violation(`the daemon came to no end: ${why}`);
    else world.count('seen a daemon converge');
  }

  async #why(worker: SimProcess, left: readonly string[]): Promise<string> {
    return [...(await this.#lacking(left)), await this.#left(worker)].filter((one) => one !== '').join('; ');
  }

  /** What is due still, by what the vault says of itself; empty: nothing. */
  async #left(worker: SimProcess): Promise<string> {
    const { survival, damage, moves } = await worker.vault.status();
    const due = [
      ...(survival.due > 0 ? [`${survival.due} segments are due`] : []),
      ...(damage.segments > 0 ? [`${damage.missing + damage.corrupt} notes of damage`] : []),
      ...(moves.intended > 0 ? [`${moves.intended} moves are intended`] : []),
    ];
    return due.join(', ');
  }

  async #compare(left: readonly string[]): Promise<void> {
    const { stage } = this.#run;
    for (const lacking of await this.#lacking(left)) stage.violation(`after repair ${lacking}`);
  }

  async #lacking(left: readonly string[]): Promise<string[]> {
    const { stage, truth } = this.#run;
    const all: string[] = [];
    for (const object of await truth.standing()) {
      const lacking = await truth.lacks(object, left);
      if (lacking.length > 0) all.push(`${object.manifest} lacks: ${lacking.slice(0, 3).join('; ')}`);
      else stage.world.count('seen objects whole again');
    }
    return all;
  }
}

function aDayGoesBy({ home, jump }: SimProcess): void {
  home.uptimeAheadMs += LEASE_MS;
  jump.ms += LEASE_MS;
}

async function openWork({ disk }: Home): Promise<string[]> {
  const left: string[] = [];
  for (const table of ['open_moves', 'relocation_slots_due'])
    for await (const [key] of disk.live.table(table).entries()) left.push(`${table} ${key}`);
  return left;
}
