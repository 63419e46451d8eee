import type { Stage } from '../telemetry/index.ts';
import type { VaultContext } from './context.ts';
import type { Spent } from './cpu/laps.ts';

/** A job's own account; what is left of the time since `startedMs` it has waited. */
export function accountFor({ clock, metrics }: VaultContext, startedMs: number, spent: Spent): void {
  let waited = clock.monotonic() - startedMs;
  for (const [stage, ms] of Object.entries(spent) as [Stage, number][]) {
    metrics.stage(stage, ms / 1000);
    waited -= ms;
  }
  metrics.stage('queue', Math.max(0, waited) / 1000);
}
