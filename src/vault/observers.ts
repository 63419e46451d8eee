import { silentMetrics } from '../telemetry/index.ts';
import type { Observers } from './compose.ts';

/** Nobody watches. */
export const silent: Observers = {
  pipeline: silentMetrics.pipeline,
  providers: silentMetrics.providers,
  engines: silentMetrics.engines,
  onAttempt() {},
  log() {},
};
