export type {
  EngineMetrics,
  HousekeepingMetrics,
  PipelineMetrics,
  ProviderMetrics,
  ReceiptMetrics,
  RepairMetrics,
  ServiceCache,
  ServiceMetrics,
} from './metrics.ts';
export { CHECK_RESULTS, STAGES, type Stage, silentMetrics } from './metrics.ts';
export { createTelemetry, type Telemetry } from './telemetry.ts';
