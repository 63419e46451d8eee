import type { AbortOptions } from '../core/abort.ts';
import { isCount } from '../core/counts.ts';
import { HoldfastError } from '../core/errors.ts';
import { type EvacuationTools, evacuateProvider } from '../upkeep/evacuate/evacuate.ts';
import { nobodyTakes, wouldFall } from '../upkeep/evacuate/evacuate-segment.ts';
import { type EvacuationPlan, planEvacuation } from '../upkeep/evacuate/evacuation-plan.ts';
import type { Leaving } from '../upkeep/evacuate/new-places.ts';
import { planRebalance, rebalanceProviders } from '../upkeep/evacuate/rebalance.ts';
import {
  planRecode,
  type RecodePlan,
  type RecodeResult,
  type RecodeTask,
  type RecodeTools,
  recodeObjects,
} from '../upkeep/recode.ts';
import type { ComposedVault } from './assemble.ts';
import { enterPlaces, indexed, lostNow } from './repair.ts';
import type {
  EvacuateOptions,
  EvacuateResult,
  EvacuationForecast,
  RebalanceForecast,
  RebalanceOptions,
  RebalanceResult,
  RecodeOptions,
} from './vault.ts';

/** What leaving a provider will take. Changes nothing at providers. */
export async function forecastEvacuation(
  composed: ComposedVault,
  leaving: Leaving,
  options: AbortOptions,
): Promise<EvacuationForecast> {
  checkProviders(composed, leaving);
  const whole = await indexed(composed, options.signal);
  return { ...(await planned(composed, leaving, options)).plan, incomplete: !whole };
}

/** Leaves a provider, as far as that lets no certificate fall too low. It needs no key. */
export async function evacuateVault(
  composed: ComposedVault,
  leaving: Leaving,
  { signal, onProgress }: EvacuateOptions,
): Promise<EvacuateResult> {
  checkProviders(composed, leaving);
  const { context, catalog } = composed;
  await enterPlaces(composed, signal);
  const whole = await indexed(composed, signal);
  const { plan, gone } = await planned(composed, leaving, { signal });
  const { segments, refused } = plan;
  if (segments === 0 && refused.segments > 0) throw impossible(leaving, plan);
  // What is put from now on goes elsewhere.
  await catalog.setMaintenance(leaving.from, true, { signal });
  const done = await evacuateProvider(context, toolsOf(composed), { ...leaving, gone, signal, onProgress });
  return { ...done, incomplete: !whole };
}

async function planned(
  composed: ComposedVault,
  leaving: Leaving,
  { signal }: AbortOptions,
): Promise<{ readonly plan: EvacuationPlan; readonly gone: ReadonlySet<string> }> {
  const { context, config } = composed;
  const gone = new Set((await lostNow(composed, signal)).keys());
  const isAnswering =
    !gone.has(leaving.from) && (await context.directory.respondsToProbe(leaving.from, { signal }));
  const plan = await planEvacuation(context, config.repair, { ...leaving, gone, isAnswering, signal });
  return { plan, gone };
}

function checkProviders({ context }: ComposedVault, { from, to, minTolerates }: Leaving): void {
  if (minTolerates !== undefined && !isCount(minTolerates))
    throw bad('minTolerates is a whole number, 0 or more');
  for (const id of [from, to]) {
    if (id === undefined || context.directory.get(id) !== undefined) continue;
    throw new HoldfastError('NotFound', `no provider "${id}" is configured`, {
      code: 'unknown_provider',
      hint: 'What one held that is not configured any more is rebuilt by `holdfast repair-run`.',
    });
  }
  if (from === to) throw bad('a provider cannot be replaced by itself');
}

const bad = (why: string): HoldfastError => new HoldfastError('ConfigInvalid', why, { code: 'bad_option' });

function impossible({ from, to }: Leaving, { refused: { before, after } }: EvacuationPlan): HoldfastError {
  if (before !== undefined && after !== undefined) return wouldFall(from, before, after);
  return nobodyTakes(to);
}

/** What a rebalance would move. Changes nothing at providers. */
export async function forecastRebalance(
  composed: ComposedVault,
  { signal }: AbortOptions,
): Promise<RebalanceForecast> {
  const incomplete = !(await indexed(composed, signal));
  const { context, config } = composed;
  const gone = new Set((await lostNow(composed, signal)).keys());
  const plan = await planRebalance(context, { gone, signal });
  const { bytesPerSecond, clusterBytesPerSecond } = config.repair;
  const ms = Math.round((2 * plan.bytes * 1000) / Math.min(bytesPerSecond, clusterBytesPerSecond));
  return { ...plan, requests: 3 * plan.packs, ms, incomplete };
}

/** Evens out what providers hold. It needs no key. */
export async function rebalanceVault(
  composed: ComposedVault,
  { signal, onProgress }: RebalanceOptions,
): Promise<RebalanceResult> {
  await enterPlaces(composed, signal);
  const incomplete = !(await indexed(composed, signal));
  const { context } = composed;
  const gone = new Set((await lostNow(composed, signal)).keys());
  const done = await rebalanceProviders(context, toolsOf(composed), { gone, signal, onProgress });
  return { ...done, incomplete };
}

const toolsOf = ({ context, config, pace, repairLog: log, observers }: ComposedVault): EvacuationTools => ({
  ...{ pace, log, metrics: observers.repair },
  maxConcurrent: config.repair.maxConcurrent,
  graceMs: context.retention.replacedMs,
});

/** What coding objects anew would take. */
export const forecastRecode = async (
  composed: ComposedVault,
  task: RecodeTask,
  options: AbortOptions,
): Promise<RecodePlan> => planRecode(composed.context, recodeToolsOf(composed), task, options);

/** Codes objects anew. */
export const recodeVault = async (
  composed: ComposedVault,
  task: RecodeTask,
  options: RecodeOptions,
): Promise<RecodeResult> => recodeObjects(composed.context, recodeToolsOf(composed), task, options);

/** @throws HoldfastError `PermissionDenied` (`sealed`). */
function recodeToolsOf({ config, env, pace, room, sealed }: ComposedVault): RecodeTools {
  if (sealed) {
    throw new HoldfastError('PermissionDenied', 'it takes the key of the vault, and there is none here', {
      code: 'sealed',
    });
  }
  const { bytesPerSecond, clusterBytesPerSecond } = config.repair;
  const rate = Math.min(bytesPerSecond, clusterBytesPerSecond);
  return { pace, bytesPerSecond: rate, rollout: config.rollout, env, beforeStore: () => room.beforeStore() };
}
