import { linkedAbort, NO_LONGER_NEEDED } from '../core/abort.ts';
import { isHoldfastError } from '../core/errors.ts';
import type { Moves, MoveTask } from '../gateway/store.ts';
import type { ComposedVault } from './assemble.ts';
import {
  evacuateVault,
  forecastEvacuation,
  forecastRebalance,
  forecastRecode,
  rebalanceVault,
  recodeVault,
} from './evacuate.ts';
import { aloneRepairing } from './repair.ts';

/** Who asks over HTTP waits no longer than this: it is stopped then, and goes on where it was when it is asked for again. */
const ASKED_MS = 4 * 60_000;

interface MoveOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: unknown) => void;
}

/** Evacuation and its kin on request, as a gateway offers them: one at a time, for a bounded time. */
export const movesOf = (composed: ComposedVault, forMs: number = ASKED_MS): Moves => ({
  plan: async (task, signal) => ({ plan: await planOf(composed, task, signal) }),
  run: (task, signal) =>
    aloneRepairing(composed, async () => {
      await composed.room.beforeStore();
      const plan = await planOf(composed, task, signal);
      return { plan, ...(await runFor(composed, task, forMs, signal)) };
    }),
});

/** @returns how it went; or how far it came, where the time was over. */
async function runFor(
  composed: ComposedVault,
  task: MoveTask,
  forMs: number,
  outer: AbortSignal,
): Promise<{ readonly result: object } | { readonly stopped: true; readonly progress: unknown }> {
  const stop = linkedAbort(outer, 'moving');
  let progress: unknown = null;
  const onProgress = (now: unknown): void => {
    progress = now;
  };
  const isOver = new AbortController();
  void composed.context.clock.sleep(forMs, isOver.signal).then(
    () => stop.abort(NO_LONGER_NEEDED),
    () => {},
  );
  try {
    return { result: await runOf(composed, task, { signal: stop.signal, onProgress }) };
  } catch (error) {
    if (outer.aborted || !isHoldfastError(error, 'Aborted')) throw error;
    return { stopped: true, progress };
  } finally {
    isOver.abort();
    stop.dispose();
  }
}

function planOf(composed: ComposedVault, task: MoveTask, signal: AbortSignal): Promise<object> {
  if (task.verb === 'rebalance') return forecastRebalance(composed, { signal });
  if (task.verb === 'recode') return forecastRecode(composed, task, { signal });
  return forecastEvacuation(composed, leavingOf(task), { signal });
}

function runOf(composed: ComposedVault, task: MoveTask, options: MoveOptions): Promise<object> {
  if (task.verb === 'rebalance') return rebalanceVault(composed, options);
  if (task.verb === 'recode') return recodeVault(composed, task, options);
  return evacuateVault(composed, leavingOf(task), options);
}

const leavingOf = (task: Extract<MoveTask, { readonly provider: string }>) => ({
  from: task.provider,
  to: task.verb === 'replace' ? task.by : undefined,
  minTolerates: task.minTolerates,
});
