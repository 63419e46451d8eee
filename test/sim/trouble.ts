import type { Home, SimProcess } from './process.ts';
import type { SimProvider } from './provider.ts';
import type { Streams } from './streams.ts';
import type { Swarm } from './swarm.ts';
import type { World } from './world.ts';

/** What trouble can reach of a run. */
interface Troubled {
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
}

/** Schedules what happens to homes and providers while clients are at work. */
export function planTrouble(run: Troubled): void {
  const { swarm } = run;
  const { schedule, faults } = run.streams;
  const plan = (times: number, what: string, trouble: (home: Home) => void): void => {
    for (let i = 0; i < times; i++) {
      const home = schedule.pick(run.homes);
      run.world.schedule(60_000 * schedule.next() ** 2, () => {
        if (run.isOver()) return;
        run.world.count(`fault ${what}`);
        run.world.note(what, home.id);
        trouble(home);
      });
    }
  };
  const later = (most: number, act: () => void): void => void run.world.schedule(most * schedule.next(), act);
  const relaunch = (home: Home): void => later(5_000, () => !run.isOver() && run.launch(home));
  plan(swarm.kills, 'kill', (home) => {
    const victim = [...home.processes][0];
    if (victim === undefined) return;
    run.kill(victim);
    relaunch(home);
  });
  plan(swarm.powerCuts, 'power cut', (home) => {
    run.killAll(home);
    void home.disk.powerCut(faults);
    relaunch(home);
  });
  plan(swarm.restores, 'restore', (home) => {
    const backup = home.disk.backup();
    later(30_000, () => {
      run.killAll(home);
      void home.disk.goBackTo(backup);
      relaunch(home);
    });
  });
  plan(swarm.absences, 'absence', () => {
    const provider = schedule.pick(run.providers);
    provider.away = true;
    later(120_000, () => {
      provider.away = false;
    });
  });
  plan(swarm.fullDisks, 'full disk', ({ disk }) => {
    disk.full = true;
    later(20_000, () => {
      disk.full = false;
    });
  });
  plan(swarm.clockJumps, 'clock jump', (home) => {
    const ms = schedule.pick([-3_600_000, -60_000, 60_000, 86_400_000]);
    for (const { jump } of home.processes) jump.ms += ms;
  });
  plan(swarm.wiped ? 1 : 0, 'wiped provider', () => {
    const provider = run.providers[0]!;
    provider.blobs.clear();
    provider.slots.clear();
  });
}
