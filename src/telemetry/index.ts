export { METRICS, type MetricName } from './names.ts';
export type {
  CodecLabels,
  EngineMetrics,
  Metrics,
  PipelineMetrics,
  ProviderMetrics,
  ServiceCache,
  ServiceMetrics,
  ServiceSeries,
} from './ports.ts';
export { STAGES, type Stage } from './ports.ts';
export { silentMetrics } from './silent.ts';
export { createTelemetry, type Telemetry } from './telemetry.ts';
