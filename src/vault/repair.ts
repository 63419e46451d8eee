import { resolve } from 'node:path';
import type { Config } from '../config/types.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import type { LogSink } from '../providers/layers/log.ts';
import { filesOnDisk } from '../upkeep/repair/log-files.ts';
import { lostProviders } from '../upkeep/repair/lost.ts';
import { createMemoryRepairLog, DiskRepairLog, type RepairLog } from '../upkeep/repair/repair-log.ts';
import { type Later, repairDue } from '../upkeep/repair/repair-run.ts';
import { indexShards } from '../upkeep/shard-index/index-shards.ts';
import type { ComposedVault } from './assemble.ts';
import type { RepairOptions, RepairResult } from './vault.ts';

/** The log of repairs where the configuration says; in memory where all other state is. */
export function repairLogOf(
  { engine, home, repair }: Pick<Config, 'engine' | 'home' | 'repair'>,
  log: LogSink,
  clock: Clock = systemClock,
): RepairLog {
  if (engine.default === 'memory') return createMemoryRepairLog({ clock });
  return new DiskRepairLog({ clock, files: filesOnDisk(resolve(home, repair.logDir || 'repair_log')), log });
}

/** Rounds of indexing before a repair: each is bounded, and there may be much that was never indexed. */
const MAX_INDEX_ROUNDS = 1_000;

/**
 * Repairs all that is due. It needs no key.
 * @param later kept by who calls again and again.
 */
export async function repairVault(
  composed: ComposedVault,
  { signal, onProgress }: RepairOptions,
  later?: Later,
): Promise<RepairResult> {
  const { context, catalog, config, repairLog: log, pace, observers } = composed;
  const whole = await indexed(composed, signal);
  const afterMs = config.repair.lostAfterHours * 3_600_000;
  const lost = await lostProviders(context, (id) => catalog.silentMs(id), afterMs, { signal });
  const tools = {
    pace,
    log,
    metrics: observers.repair,
    maxConcurrent: config.repair.maxConcurrent,
    graceMs: context.retention.replacedMs,
    later,
  };
  const done = await repairDue(context, tools, { lost: new Set(lost.keys()), signal, onProgress });
  const named = [...lost].map(([provider, why]) => ({ provider, why }));
  return { ...done, lost: named.sort((a, b) => (a.provider < b.provider ? -1 : 1)), incomplete: !whole };
}

/** @returns whether everything is indexed: what is not, nobody finds when its provider is lost. */
async function indexed({ context }: ComposedVault, signal: AbortSignal | undefined): Promise<boolean> {
  for (let round = 0; round < MAX_INDEX_ROUNDS; round++) {
    const { whole, failures } = await indexShards(context, { compare: 'nothing', signal });
    if (whole || failures.length > 0) return whole;
  }
  return false;
}
