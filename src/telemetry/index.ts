export type {
  EngineMetrics,
  PipelineMetrics,
  ProviderMetrics,
  ServiceCache,
  ServiceMetrics,
} from './ports.ts';
export { STAGES, type Stage } from './ports.ts';
export { silentMetrics } from './silent.ts';
export { createTelemetry, type Telemetry } from './telemetry.ts';
