import type { Clock } from '../../core/clock.ts';
import type { PipelineMetrics, Stage } from '../../telemetry/index.ts';

export type Spent = Partial<Record<Stage, number>>;

/** Milliseconds that the stages of one job took, one after the other. */
export class Laps {
  readonly spent: Spent = {};
  readonly #now: () => number;
  #last: number;

  /** @param now milliseconds from any start. */
  constructor(now: () => number) {
    this.#now = now;
    this.#last = now();
  }

  /** What was done since the last lap was this. */
  end(stage: Stage): void {
    const now = this.#now();
    this.spent[stage] = (this.spent[stage] ?? 0) + now - this.#last;
    this.#last = now;
  }
}

/** Counts a job's own account to its stages, and what is left of the time since `startedMs` as waiting. */
export function accountFor(
  { clock, metrics }: { readonly clock: Clock; readonly metrics: Pick<PipelineMetrics, 'stage'> },
  startedMs: number,
  spent: Spent,
): void {
  let waited = clock.monotonic() - startedMs;
  for (const [stage, ms] of Object.entries(spent) as [Stage, number][]) {
    metrics.stage(stage, ms / 1000);
    waited -= ms;
  }
  metrics.stage('queue', Math.max(0, waited) / 1000);
}
