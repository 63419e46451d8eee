import { resolve } from 'node:path';
import type { Config } from '../config/types.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import type { LogSink } from '../providers/layers/log.ts';
import { filesOnDisk } from '../upkeep/repair/log-files.ts';
import { createMemoryRepairLog, DiskRepairLog, type RepairLog } from '../upkeep/repair/repair-log.ts';

/** The log of repairs where the configuration says; in memory where all other state is. */
export function repairLogOf(
  { engine, home, repair }: Pick<Config, 'engine' | 'home' | 'repair'>,
  log: LogSink,
  clock: Clock = systemClock,
): RepairLog {
  if (engine.default === 'memory') return createMemoryRepairLog({ clock });
  return new DiskRepairLog({ clock, files: filesOnDisk(resolve(home, repair.logDir || 'repair_log')), log });
}
