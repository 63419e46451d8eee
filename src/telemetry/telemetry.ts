import { entryOf } from '../core/maps.ts';
import type { Metrics, ServiceCache, ServiceMetrics, ServiceSeries } from './metrics.ts';
import { createRecorder, type Recorder } from './recorder.ts';

/** Metrics that can be read: one per program, made by the composition root. Nothing is kept in globals. */
export interface Telemetry extends Metrics {
  /** The content type of what {@link renderMetrics} returns. */
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
    housekeeping: {
      backlog: (kind, count) => record('storage_backlog', count, { kind }),
      unreadable: (table, count) => record('storage_unreadable_records', count, { table }),
      choreFailed: (chore, count) => record('storage_housekeeping_failures_total', count, { chore }),
      choreDone: (chore, seconds) =>
        record('storage_housekeeping_done_timestamp_seconds', seconds, { chore }),
      scrubbed: (result, count) => record('storage_scrub_blobs_total', count, { result }),
      audited: (result, count) => record('storage_audit_challenges_total', count, { result }),
      unsettled: (state, count) => record('storage_unsettled_epochs', count, { state }),
      rewardPool: (credits) => record('storage_reward_pool_credits', credits),
    },
    repair: {
      attempt: (status) => record('storage_repair_attempts_total', 1, { status }),
      failure: (error, codec) => record('storage_repair_failures_total', 1, { error, ...codec }),
      bytes: (count) => record('storage_repair_bytes_total', count),
      backlog: (shards) => record('storage_repair_backlog', shards),
      paced: (seconds) => record('storage_repair_paced_seconds_total', seconds),
      moved(kind, status, bytes) {
        record('storage_moves_total', 1, { kind, status });
        record('storage_moved_bytes_total', bytes, { kind });
      },
      egress: (provider, bytes) => record('storage_repair_egress_bytes', bytes, { provider }),
    },
    receipts: {
      written: (kind) => record('receipts_total', 1, { kind }),
      rejected: (reason, count = 1) => record('receipts_rejected_total', count, { reason }),
      lost: () => record('receipts_lost_total', 1),
    },
    engines: { engineInfo: (name, engine) => record('storage_engine_info', 1, { name, engine }) },
  };
}

/** Adds up the counts that change with every request, and records them when somebody looks. */
interface ServiceTally extends ServiceMetrics {
  /** Records what has been added up. */
  settle(): void;
}

/** A histogram takes its values one by one, so latencies wait here in lists of this length. */
const MAX_WAITING = 1024;

/** The answers of a service when the fault is its own or its storage's. */
const SERVER_ERRORS = ['500', '502', '503', '504', '507'] as const;

interface CacheTally {
  hits: number;
  misses: number;
  bytes: number;
}

interface RouteTally {
  readonly codes: Map<number, number>;
  readonly seconds: number[];
}

/** A count that is no number would spoil the sum that it is added to. */
const counted = (bytes: number): number => (bytes > 0 && bytes < Number.POSITIVE_INFINITY ? bytes : 0);

function createServiceTally(record: Recorder): ServiceTally {
  const routes = new Map<string, RouteTally>();
  const caches = new Map<ServiceCache, CacheTally>();
  const sums = { bytesIn: 0, bytesOut: 0, inflight: 0 };
  const routeOf = (route: string): RouteTally =>
    entryOf(routes, route, () => ({ codes: new Map(), seconds: [] }));
  const cacheOf = (which: ServiceCache): CacheTally =>
    entryOf(caches, which, () => ({ hits: 0, misses: 0, bytes: 0 }));

  return {
    declare: (series) => declareSeries(record, series),
    request(route, code, seconds) {
      const { codes, seconds: waiting } = routeOf(route);
      codes.set(code, (codes.get(code) ?? 0) + 1);
      if (waiting.push(seconds) >= MAX_WAITING) recordSeconds(record, route, waiting);
    },
    bytesIn(bytes) {
      sums.bytesIn += counted(bytes);
    },
    bytesOut(bytes) {
      sums.bytesOut += counted(bytes);
    },
    inflight(count) {
      sums.inflight = count;
    },
    cache(which, hit) {
      const tally = cacheOf(which);
      if (hit) tally.hits++;
      else tally.misses++;
    },
    cacheBytes(which, bytes) {
      cacheOf(which).bytes = bytes;
    },
    gateOpen: (gate, open) => record('gate_open', Number(open), { gate }),
    rejected: (reason) => record('rejected_total', 1, { reason }),
    readDenied: (reason) => record('read_denied_total', 1, { reason }),
    integrityFail: (reason) => record('integrity_fail_total', 1, { reason }),
    settle() {
      for (const [route, tally] of routes) settleRoute(record, route, tally);
      record('bytes_in_total', sums.bytesIn);
      record('bytes_out_total', sums.bytesOut);
      Object.assign(sums, { bytesIn: 0, bytesOut: 0 });
      record('inflight', sums.inflight);
      for (const [cache, tally] of caches) settleCache(record, cache, tally);
    },
  };
}

function declareSeries(record: Recorder, series: ServiceSeries): void {
  for (const route of series.routes) {
    for (const code of SERVER_ERRORS) record('requests_total', 0, { route, code });
  }
  for (const reason of series.rejections) record('rejected_total', 0, { reason });
  for (const reason of series.readDenials) record('read_denied_total', 0, { reason });
  for (const reason of series.integrity) record('integrity_fail_total', 0, { reason });
}

function settleRoute(record: Recorder, route: string, { codes, seconds }: RouteTally): void {
  for (const [code, count] of codes) record('requests_total', count, { route, code: String(code) });
  codes.clear();
  recordSeconds(record, route, seconds);
}

function recordSeconds(record: Recorder, route: string, seconds: number[]): void {
  for (const value of seconds) record('latency_seconds', value, { route });
  seconds.length = 0;
}

function settleCache(record: Recorder, cache: ServiceCache, tally: CacheTally): void {
  record('cache_hits_total', tally.hits, { cache });
  record('cache_misses_total', tally.misses, { cache });
  record('cache_bytes', tally.bytes, { cache });
  Object.assign(tally, { hits: 0, misses: 0 });
}
