import type { Metrics } from './ports.ts';
import { createRecorder, type Recorder } from './recorder.ts';

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
  const metrics = recording(createRecorder(client, registry));
  return {
    ...metrics,
    contentType: registry.contentType,
    renderMetrics: () => registry.metrics(),
  };
}

function recording(record: Recorder): Metrics {
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
    },
    providers: {
      providerHealth(provider, rttMs, lossRate) {
        record('storage_provider_rtt_ms', rttMs, { provider });
        record('storage_provider_loss_rate', lossRate, { provider });
      },
    },
    engines: { engineInfo: (name, engine) => record('storage_engine_info', 1, { name, engine }) },
    repair: {
      repairAttempt: (status) => record('storage_repair_attempts_total', 1, { status }),
      repairFailure: (error, codec) => record('storage_repair_failures_total', 1, { error, ...codec }),
      repairedBytes: (bytes) => record('storage_repair_bytes_total', bytes),
      replication(target, observed) {
        record('rf_target', target);
        record('rf_observed', observed);
      },
    },
    services: services(record),
  };
}

function services(record: Recorder): Metrics['services'] {
  return {
    request(route, code, seconds) {
      record('requests_total', 1, { route, code: String(code) });
      record('latency_seconds', seconds, { route });
    },
    bytesIn: (bytes) => record('bytes_in_total', bytes),
    bytesOut: (bytes) => record('bytes_out_total', bytes),
    inflight: (count) => record('inflight', count),
    rejected: (reason) => record('rejected_total', 1, { reason }),
    readDenied: (reason) => record('read_denied_total', 1, { reason }),
    integrityFail: (reason) => record('integrity_fail_total', 1, { reason }),
  };
}
