import type { Clock } from '../core/clock.ts';
import type { PipelineMetrics, Stage } from './ports.ts';

/** Counts the time until `work` has settled to a stage. */
export async function timed<T>(
  { clock, metrics }: { readonly clock: Clock; readonly metrics: Pick<PipelineMetrics, 'stage'> },
  stage: Stage,
  work: () => Promise<T>,
): Promise<T> {
  const started = clock.monotonic();
  try {
    return await work();
  } finally {
    metrics.stage(stage, (clock.monotonic() - started) / 1000);
  }
}
