import { resolve } from 'node:path';
import type { Config } from '../config/types.ts';
import type { BlobAddress } from '../core/address.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import type { LogSink } from '../providers/layers/log.ts';
import { filesOnDisk } from '../upkeep/repair/log-files.ts';
import { lostProviders, type WhyLost } from '../upkeep/repair/lost.ts';
import { type ChunkRepairResult, repairChunk } from '../upkeep/repair/repair-chunk.ts';
import { createMemoryRepairLog, DiskRepairLog, type RepairLog } from '../upkeep/repair/repair-log.ts';
import { type Later, type RepairTools, repairDue } from '../upkeep/repair/repair-run.ts';
import { indexShards } from '../upkeep/shard-index/index-shards.ts';
import type { ComposedVault } from './assemble.ts';
import type { ChunkOptions, LostProvider, RepairOptions, RepairResult } from './vault.ts';

/** The log of repairs where the configuration says; in memory where all other state is. */
export function repairLogOf(
  { engine, home, repair }: Pick<Config, 'engine' | 'home' | 'repair'>,
  log: LogSink,
  clock: Clock = systemClock,
): RepairLog {
  if (engine.default === 'memory') return createMemoryRepairLog({ clock });
  return new DiskRepairLog({ clock, files: filesOnDisk(resolve(home, repair.logDir || 'repair_log')), log });
}

const HOUR_MS = 3_600_000;
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
  const whole = await indexed(composed, signal);
  const lost = await lostNow(composed, signal);
  const tools = toolsOf(composed, later);
  const { context } = composed;
  const done = await repairDue(context, tools, { lost: new Set(lost.keys()), signal, onProgress });
  return { ...done, lost: namedLost(lost), incomplete: !whole };
}

/** Repairs one chunk now, though it has to wait. It needs no key. */
export async function repairChunkOf(
  composed: ComposedVault,
  at: { readonly manifest: BlobAddress; readonly chunk: number },
  { force = false, signal }: ChunkOptions,
): Promise<ChunkRepairResult> {
  await indexed(composed, signal);
  const lost = new Set((await lostNow(composed, signal)).keys());
  return repairChunk(composed.context, toolsOf(composed), at, { lost, force, signal });
}

/** Providers that are gone for good now, and why. */
export const lostNow = (
  { context, catalog, config }: ComposedVault,
  signal: AbortSignal | undefined,
): Promise<Map<string, WhyLost>> =>
  lostProviders(context, (id) => catalog.silentMs(id), config.repair.lostAfterHours * HOUR_MS, { signal });

export const namedLost = (lost: ReadonlyMap<string, WhyLost>): LostProvider[] =>
  [...lost].map(([provider, why]) => ({ provider, why })).sort((a, b) => (a.provider < b.provider ? -1 : 1));

const toolsOf = (
  { context, config, repairLog: log, pace, observers }: ComposedVault,
  later?: Later,
): RepairTools => ({
  ...{ pace, log, later, metrics: observers.repair },
  maxConcurrent: config.repair.maxConcurrent,
  graceMs: context.retention.replacedMs,
});

/** @returns whether everything is indexed: what is not, nobody finds when its provider is lost. */
export async function indexed({ context }: ComposedVault, signal: AbortSignal | undefined): Promise<boolean> {
  for (let round = 0; round < MAX_INDEX_ROUNDS; round++) {
    const { whole, failures } = await indexShards(context, { compare: 'nothing', signal });
    if (whole || failures.length > 0) return whole;
  }
  return false;
}
