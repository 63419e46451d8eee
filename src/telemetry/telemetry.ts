import type { Metrics } from './metrics.ts';
import { createRecorder, type Recorder } from './recorder.ts';
import { createServiceTally } from './service-tally.ts';

/** Metrics that can be read: one per program, made by the composition root. Nothing is kept in globals. */
export interface Telemetry extends Metrics {
  /** Of what {@link renderMetrics} returns. */
  readonly contentType: string;
  /** All metrics in the Prometheus text format. */
  renderMetrics(): Promise<string>;
}

/** Loads the metrics library, which programs that expose no metrics never do. */
export async function createTelemetry(): Promise<Telemetry> {
  const { default: client } = await import('prom-client');
  const registry = new client.Registry();
  const record = createRecorder(client, registry);
  const services = createServiceTally(record);
  return {
    ...recording(record),
    services,
    contentType: registry.contentType,
    renderMetrics() {
      services.settle();
      return registry.metrics();
    },
  };
}

function recording(record: Recorder): Omit<Metrics, 'services'> {
  return {
    pipeline: {
      putObject: (seconds, codec) => record('storage_put_object_seconds', seconds, { ...codec }),
      putChunk: (seconds, codec) => record('storage_put_chunk_seconds', seconds, { ...codec }),
      chunkSize: (bytes) => record('storage_chunk_size_bytes', bytes),
      objectChunkSizes(initialBytes, finalBytes) {
        record('storage_initial_chunk_size', initialBytes);
        record('storage_final_chunk_size', finalBytes);
      },
      putEta: (seconds) => record('storage_put_eta_seconds', seconds),
      survival(target, observed) {
        record('rf_target', target);
        record('rf_observed', observed);
      },
      stage: (stage, seconds) => record('storage_stage_seconds_total', seconds, { stage }),
    },
    providers: {
      providerHealth(provider, rttMs, lossRate) {
        record('storage_provider_rtt_ms', rttMs, { provider });
        record('storage_provider_loss_rate', lossRate, { provider });
      },
      providerFailures: (provider, kind, count) =>
        record('storage_provider_failures_total', count, { provider, kind }),
    },
    engines: { engineInfo: (name, engine) => record('storage_engine_info', 1, { name, engine }) },
  };
}
