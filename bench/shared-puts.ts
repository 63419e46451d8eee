import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import postgres from 'postgres';
import { systemClock } from '../src/core/clock.ts';
import type { RunningServer } from '../test/servers/servers.ts';
import { cpuSecondsOf } from './proc.ts';

/** What puts of small objects by several processes came to, and cost: on a full machine only the costs say something. */
export interface MeasuredPuts {
  readonly processes: number;
  readonly perSecond: number;
  /** Of each put: statements, and milliseconds of processor of those who put and of the server. */
  readonly statements: number;
  readonly writersMs: number;
  readonly serverMs: number;
  /** How much of the machine nobody used meanwhile, others on it included. */
  readonly idlePercent: number;
}

interface Totals {
  readonly puts: number;
  readonly statements: number;
  readonly writers: number;
  readonly server: number;
  readonly machine: { readonly idle: number; readonly all: number };
  readonly at: number;
}

const MEASURE_MS = 8_000;

/** @param done how many puts were acknowledged so far. */
export async function measurePuts(
  server: RunningServer,
  url: string,
  pids: readonly number[],
  done: () => number,
): Promise<MeasuredPuts> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  const serverPid = Number(readFileSync(join(server.dir, 'postgres.pid'), 'utf8'));
  const totals = async (): Promise<Totals> => {
    const [row] =
      await sql`SELECT xact_commit + xact_rollback AS n FROM pg_stat_database WHERE datname = current_database()`;
    return {
      puts: done(),
      statements: Number(row!.n),
      writers: pids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0),
      server: cpuSecondsOf(serverPid),
      machine: machineTicks(),
      at: performance.now(),
    };
  };
  try {
    const before = await totals();
    await systemClock.sleep(MEASURE_MS);
    const after = await totals();
    const each = Math.max(1, after.puts - before.puts);
    const { idle, all } = after.machine;
    return {
      processes: pids.length,
      perSecond: (1000 * (after.puts - before.puts)) / (after.at - before.at),
      statements: (after.statements - before.statements) / each,
      writersMs: (1000 * (after.writers - before.writers)) / each,
      serverMs: (1000 * (after.server - before.server)) / each,
      idlePercent: (100 * (idle - before.machine.idle)) / (all - before.machine.all),
    };
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Of all processors: how long nobody had work, and how long it was. */
function machineTicks(): Totals['machine'] {
  const [, ...ticks] = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]!.split(/ +/).map(Number);
  const all = ticks.slice(0, 8).reduce((sum, each) => sum + each, 0);
  return { idle: ticks[3]! + ticks[4]!, all };
}

export const putsLine = (puts: MeasuredPuts): string =>
  `${puts.processes} process${puts.processes === 1 ? '' : 'es'}: ${puts.perSecond.toFixed(1)} puts/s; each ` +
  `${puts.statements.toFixed(0)} statements, ${puts.writersMs.toFixed(0)} ms of processor and ` +
  `${puts.serverMs.toFixed(0)} ms of the server's; ${puts.idlePercent.toFixed(0)} % of the machine idle`;
