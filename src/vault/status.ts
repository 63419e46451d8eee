import type { AbortOptions } from '../core/abort.ts';
import { AnchorWatch } from '../receipts/settlement/anchor-watch.ts';
import { upkeepOf } from '../upkeep/status.ts';
import { damageStatus, moveStatus, namesStatus, scrubStatus, survivalOf } from '../upkeep/survival.ts';
import type { ComposedVault } from './assemble.ts';
import { measure } from './measures.ts';
import { lostNow, namedLost } from './repair.ts';
import type { VaultStatus } from './vault.ts';

/** See {@link Vault.status}. What it counts is measured too. */
export async function statusOf(composed: ComposedVault, options: AbortOptions): Promise<VaultStatus> {
  const { config, context, leases, observers, room } = composed;
  const keepMs = config.retention.unfinishedHours * 3_600_000;
  const upkeep = await upkeepOf(context, leases, keepMs, options);
  measure(observers.housekeeping, upkeep);
  const lost = await lostNow(composed, options.signal);
  const gone = new Set(lost.keys());
  const survival = await survivalOf(context, gone, options);
  if (survival.least !== undefined) context.metrics.survival(context.policy.minTolerates, survival.least);
  return {
    ...upkeep,
    survival,
    lost: namedLost(lost),
    names: await namesStatus(context, gone, options),
    damage: await damageStatus(context, options),
    moves: await moveStatus(context, options),
    scrub: await scrubStatus(context, options),
    lostHours: await new AnchorWatch(context).lost(options),
    reserve: await room.isWhole(),
  };
}
