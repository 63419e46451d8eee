import { utf8Decode } from '../../src/core/bytes.ts';
import type { Client } from './client.ts';
import { BACKLOG, type StateDisk } from './disk.ts';
import type { ForeignVault } from './foreign.ts';
import type { Mended } from './mended.ts';
import type { Model } from './model.ts';
import { accountOf, Home, SimProcess, type Stage } from './process.ts';
import type { SimProvider } from './provider.ts';
import type { Swarm } from './swarm.ts';
import { LEASE_MS } from './trouble.ts';

/** Once nothing goes wrong any more, everything is tidy by then. */
const CONVERGED_MS = 60 * 60_000;
/** … and what was cut off is kept for so long. */
const UNFINISHED_MS = 3 * 60 * 60_000;

/** Records of a backlog that are named. */
const MAX_TOLD = 12;

const ROUND_MS = 60_000;
/** Where owners can only be watched. */
const ROUNDS_A_DAY = 10;
const LATE_ROUND = 5;

interface Checked {
  readonly stage: Stage;
  readonly swarm: Swarm;
  readonly model: Model;
  readonly client: Client;
  readonly homes: readonly Home[];
  readonly foreign: ForeignVault | undefined;
  readonly mended: Mended | undefined;
}

/** What must hold once nothing goes wrong any more: all that was acknowledged is there, and what nobody needs goes. */
export class Checks {
  readonly #run: Checked;
  /** What was damaged is as it was. */
  #isMended = false;

  constructor(run: Checked) {
    this.#run = run;
  }

  async all(): Promise<void> {
    const { homes, model, client, stage } = this.#run;
    const processes: SimProcess[] = [];
    for (const home of homes) processes.push(await SimProcess.start(stage, home));
    if (!model.strict) for (const process of [...processes, ...processes]) await client.recover(process);
    for (const process of processes) {
      // Of two homes only the one that recovered last is confirmed, and deletes anything.
      if (process === processes.at(-1)) {
        await this.#converge(process, 'after the faults');
        await this.#mendBacklog(process);
        await this.#run.mended?.all(process);
        this.#isMended = this.#run.mended !== undefined;
      }
      for (const name of model.names) await client.get(process, name, true);
    }
    const last = processes.at(-1)!;
    const names = await client.list(last, true);
    const survivor = this.#run.swarm.disaster ? await this.#disaster(last, names) : undefined;
    if (survivor !== undefined) processes.push(survivor);
    if (homes.length === 1 || survivor !== undefined) await this.#empty(processes.at(-1)!);
    for (const process of processes) await this.#close(process);
    // What was destroyed, or damaged, was the other's too, and it may have lost what it can bear to lose.
    const { wiped, rotten, restored } = this.#run.swarm;
    if (survivor === undefined && !(wiped || rotten || restored)) await this.#run.foreign?.check();
  }

  async #close(process: SimProcess): Promise<void> {
    const left = await process.close();
    if (left > 0) this.#run.stage.violation(`memory: ${left} slabs were never released`);
  }

  /** One provider is broken whose losses count as those of a domain. */
  get #damaged(): number {
    const { wiped, rotten, restored } = this.#run.swarm;
    return !this.#isMended && (wiped || rotten || restored) ? 1 : 0;
  }

  /** As much goes as the certificates allow, and the state with it. @returns the vault that was recovered from the rest. */
  async #disaster(process: SimProcess, names: readonly string[]): Promise<SimProcess | undefined> {
    const { stage, client } = this.#run;
    const { world, streams, violation } = stage;
    let tolerates = stage.providers.length;
    const before = new Map<string, string>();
    for (const name of names) {
      const stat = await client.call('stat', process, () => process.vault.statObject(name));
      if (stat === undefined) continue;
      const { certificate, nameCopies } = stat;
      tolerates = Math.min(tolerates, certificate.tolerates);
      const copies = nameCopies?.tolerates ?? -1;
      if (copies < certificate.tolerates - this.#damaged) violation(`too few copies of the name ${name}`);
      const content = await client.get(process, name, true);
      if (content !== undefined) before.set(name, keyOf(content));
    }
    const gone = tolerates - this.#damaged;
    if (before.size === 0 || gone < 1) return undefined;
    const left = this.#domains().slice(this.#damaged);
    for (let i = 0; i < gone; i++) {
      const [domain] = left.splice(streams.checks.between(0, left.length - 1), 1);
      world.fired('destroyed domains');
      world.note('destroyed', domain!.map(({ id }) => id).join());
      for (const provider of domain!) provider.wipe();
    }
    await this.#close(process);
    if (stage.watch !== undefined) stage.watch.isOver = true;
    const survivor = await SimProcess.start(stage, new Home('survivor'));
    await client.recover(survivor);
    for (const [name, content] of before) {
      const found = await client.get(survivor, name, true);
      if (found === undefined || keyOf(found) !== content) violation(`lost in the disaster: ${name}`);
    }
    return survivor;
  }

  #domains(): SimProvider[][] {
    const domains = new Map<string, SimProvider[]>();
    for (const [i, provider] of this.#run.stage.providers.entries()) {
      const account = accountOf(i, this.#run.swarm.perAccount);
      domains.set(account, [...(domains.get(account) ?? []), provider]);
    }
    return [...domains.values()];
  }

  /** All names go: what is left at providers then, some record must know. */
  async #empty(process: SimProcess): Promise<void> {
    const { client, stage, model, swarm } = this.#run;
    for (const name of await client.list(process, true)) {
      const gone = await client.call('rm', process, () => process.vault.deleteObject(name));
      if (gone === undefined) stage.violation(`rm failed: ${name}`);
    }
    await this.#converge(process, 'after everything was removed');
    const left = this.#blobs();
    if (left > 0) {
      stage.world.count('left for gc');
      // Only a scrub finds what came after its sender was given up, or what an older state never knew.
      const { lateEffect, silent } = swarm.faults;
      const lost =
        this.#damaged > 0 || swarm.disaster || swarm.rottenBacklog > 0 || this.#run.mended !== undefined;
      const listed = lateEffect > 0 || silent > 0 || !model.strict || lost;
      if (!listed) stage.violation(`orphans: ${left} blobs that no record knows`);
      await this.#scrub(process);
    }
  }

  async #scrub(process: SimProcess): Promise<void> {
    const { client, stage } = this.#run;
    const scrubbed = await client.call('gc', process, () => process.vault.gc({ minAgeMs: 0 }));
    await this.#converge(process, 'after gc');
    // Where it is not proven that no other vault uses the place, gc only tells; so where a state moved shards to that is lost.
    const { isOver: isLost = false } = stage.watch ?? {};
    const told = scrubbed?.providers
      .filter(({ kept }) => kept === 'shared' || kept === 'needed' || (isLost && kept === 'moved'))
      .map(({ provider }) => provider);
    const left = this.#blobs(told);
    if (left > 0) stage.violation(`gc left ${left} blobs`);
  }

  #blobs(except: readonly string[] = []): number {
    const counted = this.#run.stage.providers.filter(({ id }) => !except.includes(id));
    const others = this.#run.foreign?.addresses;
    const own = counted.flatMap(({ blobs }) => [...blobs.keys()].filter((address) => !others?.has(address)));
    return own.length;
  }

  /** What can be read no more is told, and stays until somebody takes it out; what it was for, a recovery and `gc` find. */
  async #mendBacklog(process: SimProcess): Promise<void> {
    const { client, stage } = this.#run;
    const { disk } = process.home;
    const damaged = [...disk.damaged].filter((record) =>
      BACKLOG.some((table) => record.startsWith(`${table} `)),
    );
    if (damaged.length === 0) return;
    stage.world.count('left unreadable');
    const status = await client.call('status', process, () => process.vault.status());
    const told = status?.unreadable.flatMap(({ table, keys }) => keys.map((key) => `${table} ${key}`));
    for (const record of damaged) {
      if (!told?.includes(record)) stage.violation(`status does not tell of ${record}`);
    }
    await disk.dropDamagedBacklog();
    await client.recover(process);
    await this.#converge(process, 'after unreadable records were taken out');
  }

  /** Waits until housekeeping has nothing left to do. */
  async #converge(process: SimProcess, when: string): Promise<void> {
    const { homes, client } = this.#run;
    const { world, violation } = this.#run.stage;
    const until = world.nowMs + CONVERGED_MS + (this.#run.swarm.files ? UNFINISHED_MS : 0);
    let left = await backlogOf(process.home);
    for (let round = 1; left.length > 0 && world.nowMs < until; round++) {
      await process.life.sleep(ROUND_MS);
      // What another home told only now makes this one behind, and somebody has to say which of them goes on.
      if (round === LATE_ROUND && homes.length > 1) await client.recover(process);
      // A day goes by in which those owners' journals stand still.
      if (process.home.hasLeases && round % ROUNDS_A_DAY === 0) {
        process.home.uptimeAheadMs += LEASE_MS;
        process.jump.ms += LEASE_MS;
      }
      left = await backlogOf(process.home);
    }
    if (left.length > 0) violation(`not converged ${when}: ${left.slice(0, 3).join(', ')}`);
  }
}

const keyOf = (content: Uint8Array): string => Buffer.from(content).toString('latin1');

/** What can be done: not what can be read no more, and what waits for that. */
async function backlogOf({ disk }: Home): Promise<string[]> {
  const left: string[] = [];
  for (const table of BACKLOG) {
    for await (const [key, value] of disk.live.table(table).entries()) {
      const stuck = disk.isStuck(table, key) || (await waitsForStuck(disk, table, key, value));
      if (!stuck && left.push(`${table} ${key}`) === MAX_TOLD) return left;
    }
  }
  return left;
}

async function waitsForStuck(
  disk: StateDisk,
  table: string,
  key: string,
  value: Uint8Array,
): Promise<boolean> {
  if (table === 'retired') {
    const { journal } = JSON.parse(utf8Decode(value)) as { journal?: string };
    return journal !== undefined && disk.isStuck('journal', journal);
  }
  if (table !== 'trash') return false;
  for await (const [intents, places] of disk.live.table('journal').entries()) {
    if (disk.isStuck('journal', intents) && utf8Decode(places).split('\n').includes(key)) return true;
  }
  return false;
}
