import type { Client } from './client.ts';
import { startDaemon } from './daemon.ts';
import { type Home, SimProcess, type Stage } from './process.ts';
import type { SimProvider } from './provider.ts';
import type { Tending } from './tending.ts';

interface Tended {
  readonly stage: Stage;
  readonly tending: Tending;
  readonly home: Home;
  readonly client: Client;
  /** Nothing is wrong, and nothing may be found. */
  readonly calm: boolean;
  isOver(): boolean;
  kill(process: SimProcess): void;
}

const MINUTE = 60_000;

/** Processes that look after what others put: they scrub, audit, repair, and leave providers. */
export class Workers {
  readonly #run: Tended;
  readonly #alive = new Set<SimProcess>();
  #harmAt = 1;
  #victim: SimProvider | undefined;

  constructor(run: Tended) {
    this.#run = run;
  }

  /** @param victim what harm comes over. */
  start(victim: SimProvider): void {
    const { stage, tending } = this.#run;
    const draw = stage.streams.upkeep;
    for (let i = 0; i < tending.workers; i++) void this.#serve();
    for (let i = 0; i < tending.kills; i++) {
      stage.world.schedule(MINUTE * draw.next(), () => this.#killOne());
    }
    for (let i = 0; i < tending.rottenUpkeep; i++) {
      stage.world.schedule(MINUTE * draw.next(), () => void this.#rot());
    }
    this.#harmAt = 0.15 + 0.75 * draw.next();
    this.#victim = victim;
  }

  /** Told how much of what is to be changed in the run has been. */
  changed(share: number): void {
    if (this.#victim === undefined || share < this.#harmAt) return;
    this.#harm(this.#victim);
    this.#victim = undefined;
  }

  #killOne(): void {
    const { stage, kill } = this.#run;
    const [worker] = [...this.#alive].filter(({ life }) => life.alive);
    if (worker === undefined || this.#run.isOver()) return;
    stage.world.fired('kill of a worker');
    stage.world.note('kill of a worker');
    kill(worker);
  }

  async #rot(): Promise<void> {
    const { stage, home } = this.#run;
    if (this.#run.isOver()) return;
    if (await home.disk.rot('upkeep', stage.streams.upkeep)) stage.world.fired('rotten upkeep');
  }

  /** One place at which a worker is; another comes when it has died. */
  async #serve(): Promise<void> {
    const { stage, home, tending } = this.#run;
    const draw = stage.streams.upkeep;
    const pause = (ms: number): Promise<void> =>
      new Promise((resolve) => stage.world.schedule(ms * draw.next(), resolve));
    for (;;) {
      await pause(10_000);
      if (this.#run.isOver()) return;
      // Where some have a key, about every second has.
      const sealed = tending.sealed || draw.chance(0.5);
      const worker = await SimProcess.start(stage, home, { isWorker: true, sealed }).catch(() => undefined);
      if (worker === undefined) continue;
      this.#alive.add(worker);
      if (tending.daemons) startDaemon(worker, stage.world);
      void this.#work(worker);
      while (worker.life.alive && !this.#run.isOver()) await pause(5_000);
      this.#alive.delete(worker);
    }
  }

  async #work(worker: SimProcess): Promise<void> {
    const draw = this.#run.stage.streams.upkeep;
    while (!this.#run.isOver()) {
      await worker.life.sleep(6_000 * draw.next());
      if (this.#run.isOver()) return;
      await this.#callOnce(worker);
    }
  }

  async #callOnce(worker: SimProcess): Promise<void> {
    const { client, tending, stage } = this.#run;
    const { vault } = worker;
    const draw = stage.streams.upkeep.next();
    // A daemon does by itself what most calls would be for.
    if (tending.daemons && draw < 0.7) return;
    if (draw < 0.4) await this.repair(worker);
    else if (draw < 0.55) await this.scrub(worker);
    else if (draw < 0.65) await this.#audit(worker);
    else if (draw < 0.75) await client.call('status', worker, () => vault.status());
    else if (draw < 0.8) await this.#repairChunk(worker);
    else if (tending.leaving) await this.#leave(worker);
  }

  async repair(worker: SimProcess): Promise<boolean> {
    const done = await this.#run.client.call('repair', worker, () => worker.vault.repair());
    if (done === undefined) return false;
    const { world } = this.#run.stage;
    for (const [status, times] of Object.entries(done.chunks)) if (times > 0) world.count(`chunks ${status}`);
    if (done.nodeCopies > 0) world.count('seen node copies repaired');
    for (const _ of done.capped) world.count('seen cap reached');
    world.note('repaired', JSON.stringify(done));
    const { failure, skipped, fatal } = done.chunks;
    return failure + skipped + fatal === 0 && !done.incomplete;
  }

  async scrub(worker: SimProcess): Promise<void> {
    const { client, calm, stage } = this.#run;
    const done = await client.call('scrub', worker, () => worker.vault.scrub());
    if (done === undefined) return;
    stage.world.note('scrubbed', done.damaged, done.unheard, done.manifests);
    if (done.damaged > 0) stage.world.count('seen damage found by scrub');
    if (calm && done.damaged > 0) stage.violation('a scrub found damage where nothing was damaged');
  }

  async #audit(worker: SimProcess): Promise<void> {
    const { client, calm, stage } = this.#run;
    const options = { share: 0.3, confidence: 0.95 };
    const done = await client.call('audit', worker, () => worker.vault.audit(options));
    const wrong = done?.providers.some(({ missing, corrupt }) => missing + corrupt > 0);
    if (wrong) stage.world.count('seen damage found by audit');
    if (calm && wrong) stage.violation('an audit found damage where nothing was damaged');
  }

  async #repairChunk(worker: SimProcess): Promise<void> {
    const { client } = this.#run;
    await client.call('repair chunk', worker, async () => {
      for await (const { manifest } of worker.vault.listManifests({ limit: 1 })) {
        const { status } = await worker.vault.repairChunk(manifest, 0, { force: true });
        this.#run.stage.world.count(`chunk ${status}`);
      }
      return true;
    });
  }

  async #leave(worker: SimProcess): Promise<void> {
    const { client, stage } = this.#run;
    const { vault, life } = worker;
    const draw = stage.streams.upkeep;
    const { id: from } = draw.pick(stage.providers);
    const { id: to } = draw.pick(stage.providers);
    const what = draw.next();
    if (what < 0.3) await client.call('rebalance', worker, () => vault.rebalance());
    else if (what < 0.7) {
      const left = await client.call('evacuate', worker, () => vault.evacuate(from));
      if (left !== undefined && left.shards > 0) stage.world.count('seen shards evacuated');
    } else {
      const left = await client.call('replace', worker, () => vault.replace(from, to));
      if (left !== undefined && left.shards > 0) stage.world.count('seen shards replaced');
    }
    await life.sleep(10_000 * draw.next());
    await client.call('maintenance', worker, () => vault.providers.setMaintenance(from, false));
  }

  #harm(victim: SimProvider): void {
    const { stage, tending } = this.#run;
    const { world, streams } = stage;
    const draw = streams.upkeep;
    if (this.#run.isOver()) return;
    if (tending.harm === 'lying') {
      victim.lies = { rot: draw.next() ** 2, drop: draw.next() };
      world.schedule(2 * MINUTE * draw.next(), () => {
        victim.lies = undefined;
      });
    }
    if (tending.harm === 'silent rot' && victim.rotSilently(draw)) world.fired('silent rot');
    if (tending.harm !== 'lost' && tending.harm !== 'returned') return;
    world.fired('lost provider');
    world.note('lost provider', victim.id);
    const putBack = victim.backup();
    victim.wipe();
    victim.away = true;
    void this.#declare(victim.id, true);
    if (tending.harm === 'lost') return;
    world.schedule(MINUTE * draw.next(), () => {
      if (this.#run.isOver()) return;
      world.fired('returned provider');
      putBack();
      victim.away = false;
      void this.#declare(victim.id, false);
    });
  }

  /** The operator says it as soon as somebody is there to hear it. */
  async #declare(provider: string, isLost: boolean): Promise<void> {
    const { stage, client } = this.#run;
    for (let i = 0; i < 30 && !this.#run.isOver(); i++) {
      await new Promise<void>((resolve) => void stage.world.schedule(3_000, resolve));
      const [worker] = [...this.#alive].filter(({ life }) => life.alive);
      if (worker === undefined) continue;
      const said = client.call('lost', worker, async () => {
        await worker.vault.providers.setLost(provider, isLost);
        return true;
      });
      // Its process may die before it answers.
      const late = new Promise<undefined>(
        (resolve) => void stage.world.schedule(5_000, () => resolve(undefined)),
      );
      if (await Promise.race([said, late])) return;
    }
  }
}
