import { silentMetrics } from '../telemetry/index.ts';
import type { Observers } from './compose.ts';

/** Discards metrics and logs. */
export const silent: Observers = {
  pipeline: silentMetrics.pipeline,
  providers: silentMetrics.providers,
  engines: silentMetrics.engines,
  onAttempt() {},
  log() {},
};
