import { asHoldfastError, HoldfastError } from '../core/errors.ts';
import { VERSION } from '../core/version.ts';
import { createDaemon, type DaemonOptions } from '../daemon/daemon.ts';
import { type Loop, Loops } from '../daemon/loops.ts';
import { createOutlook } from '../gateway/outlook.ts';
import type { Service } from '../http/service.ts';
import { possibleTakers } from '../pipeline/put/plan.ts';
import { readRecords } from '../records/manifests.ts';
import { CHECK_RESULTS, type Telemetry } from '../telemetry/index.ts';
import type { Later } from '../upkeep/repair/repair-run.ts';
import { nextPart } from '../upkeep/scrub/state.ts';
import type { ComposedVault } from './assemble.ts';
import { explorerOver } from './explorer.ts';
import { internalsOf } from './opened-vault.ts';
import { aloneRepairing, repairVault } from './repair.ts';
import { isBehind, receiptFoldersOf } from './settlement.ts';
import type { RepairResult, Vault } from './vault.ts';

/** What a daemon is given that does not come from its vault. */
export interface DaemonParts extends Pick<DaemonOptions, 'auth' | 'log' | 'limits' | 'allowedHosts'> {
  readonly telemetry: Telemetry;
}

/** A daemon over a vault; it does not listen yet, and its loops have not been started. */
export interface VaultDaemon {
  readonly service: Service;
  readonly loops: Loops;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

export function daemonOver(vault: Vault, { telemetry, log, ...parts }: DaemonParts): VaultDaemon {
  const composed = internalsOf(vault);
  const { context, catalog, pace, sealed } = composed;
  const { clock, random, directory, policy } = context;
  const loops = loopsWith(loopsOf(vault, composed), composed, { telemetry, log });
  const outlook = createOutlook({
    policy,
    clock,
    providers: () => directory.all(),
    respondsToProbe: (id) => directory.isResponsive(id),
    eligible: () => possibleTakers(directory),
    probe: (signal) => catalog.probeAll({ mode: 'passing', signal }),
    readState: (signal) => readRecords(context, { signal }),
    readPace: (signal) => pace.check({ signal }),
  });
  const service = createDaemon({
    ...parts,
    log,
    loops,
    outlook,
    explorer: explorerOver(composed),
    policy: composed.config.policy,
    sealed,
    clock,
    random,
    metrics: telemetry.services,
    exposition: telemetry,
    version: VERSION,
  });
  return { service, loops };
}

/** The loops of a gateway: it settles what it wrote down, and where it hosts repair, it repairs as a daemon does. */
export function gatewayLoopsOver(
  vault: Vault,
  parts: Pick<DaemonParts, 'telemetry' | 'log'>,
  { repairs }: { readonly repairs: boolean },
): Loops {
  const composed = internalsOf(vault);
  return loopsWith(
    [...(repairs ? [repairLoop(composed)] : []), ...settleLoops(vault, composed)],
    composed,
    parts,
  );
}

export const loopsWith = (
  loops: readonly Loop[],
  { context: { clock } }: ComposedVault,
  { telemetry, log }: Pick<DaemonParts, 'telemetry' | 'log'>,
): Loops =>
  new Loops(loops, {
    clock,
    metrics: telemetry.housekeeping,
    log: (level, event, fields) => log.event(level, event, fields),
  });

/**
 * What a daemon does beside the rounds of its vault, which probe the providers and tidy up. Here is the place for more:
 * each has its own rhythm and deadline, and shows in `/readyz` and `/metrics` by its name.
 */
function loopsOf(vault: Vault, composed: ComposedVault): readonly Loop[] {
  const { repair, scrub } = composed.config;
  const always: readonly Loop[] = [
    {
      // What is left to be done, for `/metrics`.
      name: 'status',
      firstAfterMs: 0,
      everyMs: MINUTE_MS,
      deadlineMs: MINUTE_MS,
      run: (signal) => vault.status({ signal }),
    },
    ...(repair.enabled ? [repairLoop(composed)] : []),
    ...(scrub.enabled ? checkLoops(vault, composed) : []),
    ...settleLoops(vault, composed),
  ];
  if (composed.sealed) return always;
  return [
    ...always,
    {
      name: 'gc',
      firstAfterMs: HOUR_MS,
      everyMs: 24 * HOUR_MS,
      deadlineMs: 6 * HOUR_MS,
      run: (signal) => vault.gc({ signal }),
    },
  ];
}

/**
 * Reads back a part a day, in turn, and asks every provider for shards at random. What they find is noted for repair, and no
 * failure of theirs.
 */
function checkLoops(vault: Vault, { context, config, observers }: ComposedVault): readonly Loop[] {
  const { engine, clock } = context;
  for (const result of CHECK_RESULTS) {
    observers.housekeeping.scrubbed(result, 0);
    observers.housekeeping.audited(result, 0);
  }
  return [
    {
      name: 'scrub',
      firstAfterMs: MINUTE_MS / 6,
      everyMs: HOUR_MS,
      deadlineMs: 24 * HOUR_MS,
      async run(signal) {
        const subset = await nextPart(engine, config.scrub.everyDays, clock.now(), { signal });
        if (subset !== undefined) await vault.scrub({ subset, signal });
      },
    },
    {
      name: 'audit',
      firstAfterMs: HOUR_MS,
      everyMs: 24 * HOUR_MS,
      deadlineMs: 6 * HOUR_MS,
      run: (signal) => vault.audit({ signal }),
    },
  ];
}

/** Sees what gateways wrote down to its credit. Hours that are refused are logged once, and hold up no other. */
function settleLoops(vault: Vault, { config }: ComposedVault): readonly Loop[] {
  const { enabled, intervalSeconds, rentBytesPerMib } = config.settlement;
  if (!enabled || (receiptFoldersOf(config).length === 0 && rentBytesPerMib === 0)) return [];
  return [
    {
      name: 'settlement',
      firstAfterMs: 1000,
      everyMs: intervalSeconds * 1000,
      deadlineMs: HOUR_MS,
      async run(signal) {
        if (!isBehind(await vault.settleReceipts({ signal }))) return;
        throw new HoldfastError(
          'Unavailable',
          'not everything could be settled: see `holdfast receipts settle`',
        );
      },
    },
  ];
}

/** One round repairs all that is due, which may take long; the next only looks at what came since. */
function repairLoop(composed: ComposedVault): Loop {
  const later: Later = new Map();
  const everyMs = composed.config.repair.intervalSeconds * 1000;
  return {
    name: 'repair',
    firstAfterMs: everyMs,
    everyMs,
    deadlineMs: 24 * HOUR_MS,
    async run(signal) {
      const round = (): Promise<RepairResult> => repairVault(composed, { signal }, { later });
      const done = await aloneRepairing(composed, round).catch((error: unknown) => {
        // Somebody asked for one, and that is under way.
        if (asHoldfastError(error).code === 'repair_running') return undefined;
        throw error;
      });
      if (done === undefined) return;
      const { chunks } = done;
      if (chunks.failure + chunks.fatal === 0) return;
      throw new HoldfastError(
        'Unavailable',
        `${chunks.failure} repairs failed, and ${chunks.fatal} chunks are lost`,
      );
    },
  };
}
