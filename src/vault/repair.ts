import { resolve } from 'node:path';
import type { Config } from '../config/types.ts';
import type { BlobAddress } from '../core/address.ts';
import { type Clock, systemClock, withDeadline } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import type { Repairs } from '../gateway/store.ts';
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

interface RepairBounds {
  /** Kept by who calls again and again. */
  readonly later?: Later;
  /** Begins with nothing new after so long. */
  readonly forMs?: number;
}

/** Repairs all that is due. It needs no key. */
export async function repairVault(
  composed: ComposedVault,
  { signal, onProgress }: RepairOptions,
  { later, forMs = Number.POSITIVE_INFINITY }: RepairBounds = {},
): Promise<RepairResult> {
  const { context } = composed;
  const untilMs = context.clock.monotonic() + forMs;
  await enterPlaces(composed, signal);
  const whole = await indexed(composed, signal, untilMs);
  const lost = await lostNow(composed, signal);
  const rateOf = ratesOf(composed);
  const options = { lost: new Set(lost.keys()), rateOf, untilMs, signal, onProgress };
  const done = await repairDue(context, toolsOf(composed, later), options);
  const isOver = context.clock.monotonic() > untilMs;
  return { ...done, lost: namedLost(lost), incomplete: !whole || isOver };
}

/** What is added to the share of failures, so that a provider with none is not taken to live for ever. */
const LEAST_RATE = 0.01;

/** By the share of its probes and of its transfers that failed of late: who is failing may be gone soon. */
function ratesOf({ catalog }: ComposedVault): (provider: string) => number {
  const rates = new Map(
    catalog.snapshot().map(({ id, lossRate, successRate }) => [id, LEAST_RATE + lossRate + 1 - successRate]),
  );
  return (provider) => rates.get(provider) ?? LEAST_RATE;
}

/** Repairs one chunk now, though it has to wait. It needs no key. */
export async function repairChunkOf(
  composed: ComposedVault,
  at: { readonly manifest: BlobAddress; readonly chunk: number },
  { force = false, signal }: ChunkOptions,
): Promise<ChunkRepairResult> {
  await enterPlaces(composed, signal);
  await indexed(composed, signal);
  const lost = new Set((await lostNow(composed, signal)).keys());
  return repairChunk(composed.context, toolsOf(composed), at, { lost, force, signal });
}

/** Says whose the places are before anything is moved there. Who has no key cannot tell. */
export async function enterPlaces(
  { context, sealed }: ComposedVault,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!sealed) await context.places.enter(context.directory.all(), { signal });
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
export async function indexed(
  { context }: ComposedVault,
  signal: AbortSignal | undefined,
  untilMs: number = Number.POSITIVE_INFINITY,
): Promise<boolean> {
  for (let round = 0; round < MAX_INDEX_ROUNDS && context.clock.monotonic() <= untilMs; round++) {
    const { whole, failures } = await indexShards(context, { compare: 'nothing', signal });
    if (whole || failures.length > 0) return whole;
  }
  return false;
}

/** Vaults that this process repairs at the moment. */
const REPAIRING = new WeakSet<ComposedVault>();

/** Does work that repairs, unless this process does some already. @throws HoldfastError `Conflict` (`repair_running`). */
export async function aloneRepairing<T>(composed: ComposedVault, work: () => Promise<T>): Promise<T> {
  if (REPAIRING.has(composed)) {
    throw new HoldfastError('Conflict', 'this process repairs already', {
      code: 'repair_running',
      status: 'temporary',
      hint: 'What is due is repaired by that too; see `holdfast repair-history`.',
    });
  }
  REPAIRING.add(composed);
  try {
    return await work();
  } finally {
    REPAIRING.delete(composed);
  }
}

/** Who asks over HTTP waits no longer than this for what is begun, and as long again for what is under way then. */
const ASKED_MS = 4 * 60_000;

/** Repair on request, as a gateway offers it: one at a time, for a bounded time. */
export const repairsOf = (composed: ComposedVault): Repairs => {
  const asked = <T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> =>
    aloneRepairing(composed, async () => {
      await composed.room.beforeStore();
      return withDeadline(composed.context.clock, 2 * ASKED_MS, 'repair', work, signal);
    });
  return {
    run: (signal) => asked(signal, (until) => repairVault(composed, { signal: until }, { forMs: ASKED_MS })),
    chunk: ({ force, ...at }, signal) =>
      asked(signal, (until) => repairChunkOf(composed, at, { force, signal: until })),
  };
};
