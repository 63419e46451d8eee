import type { Rot } from './disk.ts';
import type { Fault } from './faults.ts';
import type { Home, SimProcess } from './process.ts';
import type { SimProvider } from './provider.ts';
import type { Stream, Streams } from './streams.ts';
import type { Swarm } from './swarm.ts';
import type { World } from './world.ts';

/** What trouble can reach of a run. */
export interface Troubled {
  readonly world: World;
  readonly streams: Streams;
  readonly swarm: Swarm;
  readonly homes: readonly Home[];
  readonly providers: readonly SimProvider[];
  /** Nothing more is to be disturbed. */
  isOver(): boolean;
  launch(home: Home): void;
  kill(process: SimProcess): void;
  killAll(home: Home): void;
  /** Another machine goes on from a copy of this one's state. */
  copy(home: Home): void;
}

const FIRST_MINUTE = 60_000;
/** A lease has run out by then. */
export const LEASE_MS: number = 25 * 3_600_000;

/** Schedules what happens to homes and providers while clients are at work. */
export class Trouble {
  readonly #run: Troubled;

  constructor(run: Troubled) {
    this.#run = run;
  }

  plan(): void {
    const { schedule, trouble } = this.#run.streams;
    this.#planHomes(schedule);
    this.#planProviders(schedule);
    this.#planMoreHomes(trouble);
    this.#planMoreProviders(trouble);
    this.#planRot(trouble, this.#run.swarm.rottenBacklog, 'backlog', 'rotten backlog');
  }

  kill(process: SimProcess): void {
    this.#run.kill(process);
    // Workers see to their own.
    if (!process.isWorker) this.#relaunch(process.home);
  }

  powerCut(home: Home): void {
    const { killAll, streams } = this.#run;
    killAll(home);
    void home.disk.powerCut(streams.faults);
    this.#relaunch(home);
  }

  #each(draw: Stream, times: number, act: (home: Home) => void): void {
    const { world, homes } = this.#run;
    for (let i = 0; i < times; i++) {
      const home = draw.pick(homes);
      world.schedule(FIRST_MINUTE * draw.next() ** 2, () => {
        if (!this.#run.isOver()) act(home);
      });
    }
  }

  #plan(draw: Stream, times: number, fault: Fault, act: (home: Home) => void): void {
    this.#each(draw, times, (home) => {
      this.#run.world.fired(fault);
      this.#run.world.note(fault, home.id);
      act(home);
    });
  }

  /** @param act is not done where the run is over by then. */
  #later(draw: Stream, most: number, act: () => void): void {
    this.#run.world.schedule(most * draw.next(), act);
  }

  #relaunch(home: Home): void {
    this.#later(this.#run.streams.schedule, 5_000, () => {
      if (!this.#run.isOver()) this.#run.launch(home);
    });
  }

  #planHomes(draw: Stream): void {
    const { swarm, streams } = this.#run;
    this.#plan(draw, swarm.kills, 'kill', (home) => {
      const victim = [...home.processes][0];
      if (victim !== undefined) this.kill(victim);
    });
    this.#plan(draw, swarm.powerCuts, 'power cut', (home) => this.powerCut(home));
    this.#plan(draw, swarm.restores, 'restored state', (home) => {
      const { written } = home.disk;
      this.#later(draw, 30_000, () => {
        this.#run.killAll(home);
        void home.disk.goBackTo(written);
        this.#relaunch(home);
      });
    });
    this.#each(draw, swarm.fullDisks, ({ disk }) => {
      disk.full = true;
      this.#later(draw, 20_000, () => {
        disk.full = false;
      });
    });
    this.#plan(draw, swarm.clockJumps, 'clock jump', (home) => {
      const ms = streams.schedule.pick([-3_600_000, -60_000, 60_000, 86_400_000]);
      for (const { jump } of home.processes) jump.ms += ms;
    });
  }

  #planProviders(draw: Stream): void {
    const { swarm, providers } = this.#run;
    this.#plan(draw, swarm.absences, 'absence', () => {
      const provider = draw.pick(providers);
      provider.away = true;
      this.#later(draw, 120_000, () => {
        provider.away = false;
      });
    });
    this.#plan(draw, swarm.wiped ? 1 : 0, 'wiped provider', () => providers[0]!.wipe());
  }

  #planMoreHomes(draw: Stream): void {
    const { swarm, world } = this.#run;
    this.#planRot(draw, swarm.rottenRecords, 'derived', 'rotten record');
    this.#planRot(draw, swarm.rottenNames, 'name', 'rotten name');
    this.#plan(draw, swarm.pauses, 'paused process', (home) => {
      const [process] = [...home.processes];
      if (process !== undefined) process.life.pausedUntilMs = world.nowMs + 90_000 * draw.next();
    });
    this.#plan(draw, swarm.lapses, 'lapsed leases', (home) => {
      home.uptimeAheadMs += LEASE_MS;
    });
    this.#plan(draw, swarm.losses, 'lost state', (home) => {
      this.#run.killAll(home);
      void home.disk.goBackTo(0);
      this.#relaunch(home);
    });
    this.#plan(draw, swarm.copies, 'copied state', (home) => this.#run.copy(home));
  }

  #planRot(draw: Stream, times: number, what: Rot, fault: Fault): void {
    const { streams, world } = this.#run;
    this.#each(draw, times, async ({ disk }) => {
      if (await disk.rot(what, streams.disk)) world.fired(fault);
    });
  }

  #planMoreProviders(draw: Stream): void {
    const { swarm, providers } = this.#run;
    const [victim] = providers;
    this.#plan(draw, swarm.rotten ? 1 : 0, 'rotten provider', () => victim!.rot(draw));
    this.#each(draw, swarm.restored ? 1 : 0, () => {
      const restore = victim!.backup();
      this.#later(draw, 60_000, () => {
        this.#run.world.fired('restored provider');
        restore();
      });
    });
    const forAWhile = (times: number, set: (provider: SimProvider, on: boolean) => void): void =>
      this.#each(draw, times, () => {
        const provider = draw.pick(providers);
        set(provider, true);
        this.#later(draw, 60_000, () => set(provider, false));
      });
    forAWhile(swarm.fullProviders, (provider, on) => {
      provider.full = on;
    });
    forAWhile(swarm.denials, (provider, on) => {
      provider.denied = on;
    });
  }
}
