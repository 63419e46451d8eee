import { silentMetrics } from '../../src/telemetry/index.ts';
import { daemonOver } from '../../src/vault/daemon.ts';
import type { SimProcess } from './process.ts';
import type { World } from './world.ts';

/** Starts the loops of a daemon in a process; they end with it. It listens to nobody. */
export function startDaemon({ vault, life }: SimProcess, world: World): void {
  const housekeeping = {
    ...silentMetrics.housekeeping,
    choreDone: (name: string) => world.count(`loop ${name}`),
  };
  const telemetry = {
    ...silentMetrics,
    housekeeping,
    contentType: 'text/plain',
    renderMetrics: async () => '',
  };
  const { loops } = daemonOver(vault, {
    telemetry,
    log: {
      event(_, event, fields) {
        if (!life.alive) return;
        world.count(`event ${event}`);
        world.note('daemon', event, JSON.stringify(fields));
      },
    },
    auth: {
      authenticate: () => ({ name: 'nobody', scopes: new Set(), authenticated: false }),
      open: () => false,
    },
  });
  loops.start();
}
