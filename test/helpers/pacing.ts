import { createMemoryEngine, type Engine } from '../../src/engine/index.ts';
import { silentMetrics } from '../../src/telemetry/index.ts';
import { createRepairPace, type PaceLimits, type RepairPace } from '../../src/upkeep/repair/pace.ts';
import { aroundWrites, type EngineWrite } from './engine.ts';
import { FakeClock } from './fake-clock.ts';
import { fixedRandom } from './fixed-random.ts';

export const MIB = 1024 ** 2;
export const GIB = 1024 * MIB;
export const DAY_MS = 86_400_000;
const NO_LIMIT = 1024 * GIB;
const UNLIMITED: PaceLimits = {
  bytesPerSecond: NO_LIMIT,
  clusterBytesPerSecond: NO_LIMIT,
  egressPerDay: NO_LIMIT,
};

export interface World {
  readonly clock: FakeClock;
  readonly engine: Engine;
  readonly writes: EngineWrite[];
}

export function world(): World {
  const writes: EngineWrite[] = [];
  const engine = aroundWrites(createMemoryEngine(), (write, work) => {
    writes.push(write);
    return work();
  });
  return { clock: new FakeClock(), engine, writes };
}

export const worker = (
  { engine, clock }: Pick<World, 'engine' | 'clock'>,
  limits: Partial<PaceLimits>,
  metrics = silentMetrics.repair,
): RepairPace =>
  createRepairPace({ engine, clock, random: fixedRandom('pace'), metrics }, { ...UNLIMITED, ...limits });
