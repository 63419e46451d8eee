export type {
  EngineMetrics,
  HousekeepingMetrics,
  PipelineMetrics,
  ProviderMetrics,
  RepairMetrics,
  ServiceCache,
  ServiceMetrics,
} from './metrics.ts';
export { STAGES, type Stage, silentMetrics } from './metrics.ts';
export { createTelemetry, type Telemetry } from './telemetry.ts';
