export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds, of a histogram only. */
  readonly buckets?: readonly number[];
}

export type MetricName =
  | 'storage_chunk_size_bytes'
  | 'storage_put_object_seconds'
  | 'storage_put_chunk_seconds'
  | 'storage_stage_seconds_total'
  | 'storage_provider_rtt_ms'
  | 'storage_provider_loss_rate'
  | 'storage_provider_failures_total'
  | 'storage_initial_chunk_size'
  | 'storage_final_chunk_size'
  | 'storage_put_eta_seconds'
  | 'storage_engine_info'
  | 'storage_backlog'
  | 'storage_unreadable_records'
  | 'storage_housekeeping_failures_total'
  | 'storage_housekeeping_done_timestamp_seconds'
  | 'storage_scrub_blobs_total'
  | 'storage_audit_challenges_total'
  | 'storage_unsettled_epochs'
  | 'storage_reward_pool_credits'
  | 'storage_repair_attempts_total'
  | 'storage_repair_failures_total'
  | 'storage_repair_bytes_total'
  | 'storage_repair_backlog'
  | 'storage_repair_paced_seconds_total'
  | 'storage_repair_egress_bytes'
  | 'storage_moves_total'
  | 'storage_moved_bytes_total'
  | 'read_denied_total'
  | 'receipts_total'
  | 'receipts_rejected_total'
  | 'receipts_lost_total'
  | 'rf_target'
  | 'rf_observed'
  | 'requests_total'
  | 'bytes_in_total'
  | 'bytes_out_total'
  | 'latency_seconds'
  | 'inflight'
  | 'gate_open'
  | 'rejected_total'
  | 'integrity_fail_total'
  | 'cache_hits_total'
  | 'cache_misses_total'
  | 'cache_bytes';

const KIB = 1024;
const MIB = 1024 ** 2;
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300] as const;

const counter = (help: string, ...labels: string[]): MetricDefinition => ({ type: 'counter', help, labels });
const gauge = (help: string, ...labels: string[]): MetricDefinition => ({ type: 'gauge', help, labels });
const seconds = (help: string, ...labels: string[]): MetricDefinition => ({
  type: 'histogram',
  help,
  labels,
  buckets: SECONDS,
});

/** Every metric there is. Names, labels and units are public: dashboards and alerts depend on them. */
export const METRICS: Readonly<Record<MetricName, MetricDefinition>> = {
  storage_chunk_size_bytes: {
    type: 'histogram',
    help: 'Plain length of the chunks put',
    labels: [],
    buckets: [64 * KIB, 256 * KIB, 512 * KIB, MIB, 2 * MIB, 4 * MIB],
  },
  storage_put_object_seconds: seconds('Time to put an object, to its commit', 'erasure', 'compression'),
  storage_put_chunk_seconds: seconds(
    'Time to put a chunk, to its last acknowledgement',
    'erasure',
    'compression',
  ),
  storage_stage_seconds_total: counter('Time spent in each stage of puts and gets, side by side', 'stage'),
  storage_provider_rtt_ms: gauge('Average round trip time of a provider, in milliseconds', 'provider'),
  storage_provider_loss_rate: gauge('Average share of probes that a provider failed, 0 to 1', 'provider'),
  storage_provider_failures_total: counter(
    'Transfers that a provider was slow with, failed, lied in or denied',
    'provider',
    'kind',
  ),
  storage_initial_chunk_size: gauge('Length of the first chunk of the last object put, in bytes'),
  storage_final_chunk_size: gauge('Length of the last full chunk of the last object put, in bytes'),
  storage_put_eta_seconds: gauge('Estimated time until the put under way is acknowledged; 0 when none is'),
  storage_engine_info: gauge('Engine in force for a table; always 1', 'name', 'engine'),
  storage_backlog: gauge('Records of work that is left to be done, by kind', 'kind'),
  storage_unreadable_records: gauge('Records of the state that cannot be read and are passed over', 'table'),
  storage_housekeeping_failures_total: counter('Times that a chore was not done to its end', 'chore'),
  storage_housekeeping_done_timestamp_seconds: gauge(
    'When a chore was last done, in seconds since 1970',
    'chore',
  ),
  storage_scrub_blobs_total: counter('Packs and copies of nodes that scrubs looked for', 'result'),
  storage_audit_challenges_total: counter('Shards that audits asked for', 'result'),
  storage_unsettled_epochs: gauge('Hours of receipts that are not credited, by how they stand', 'state'),
  storage_reward_pool_credits: gauge('Credits that are left to credit reads from'),
  storage_repair_attempts_total: counter('Attempts to repair a chunk, by how they ended', 'status'),
  storage_repair_failures_total: counter(
    'Repairs that failed: manifest, integrity, reconstruct, encode or database',
    'error',
    'erasure',
    'compression',
  ),
  storage_repair_bytes_total: counter('Bytes that repair stored anew'),
  storage_repair_backlog: gauge('Shards that are known to be missing, rotten or in the wrong place'),
  storage_repair_paced_seconds_total: counter(
    'Time that repair was kept waiting by its limits, side by side',
  ),
  storage_repair_egress_bytes: gauge('Bytes read for repair from a provider today, by UTC', 'provider'),
  storage_moves_total: counter(
    'Attempts to move a segment, or to copy manifest nodes, to other providers',
    'kind',
    'status',
  ),
  storage_moved_bytes_total: counter('Bytes that were stored at other providers so', 'kind'),
  read_denied_total: counter('Reads refused, by reason', 'reason'),
  receipts_total: counter('Reads that were written down: signed, unsigned or denied; executions', 'kind'),
  receipts_rejected_total: counter('Acknowledgements of reads that were not taken, by reason', 'reason'),
  receipts_lost_total: counter('Reads that could not be written down'),
  rf_target: gauge('Losses that every object should survive'),
  rf_observed: gauge('Losses that the weakest object survives still; -1 when one is lost'),
  requests_total: counter('Requests served, by route and status code', 'route', 'code'),
  bytes_in_total: counter('Body bytes received'),
  bytes_out_total: counter('Body bytes sent'),
  latency_seconds: seconds('Time to serve a request, by route', 'route'),
  inflight: gauge('Requests being served'),
  gate_open: gauge('Whether a gate on the way to serving is open, 1 or 0, as /readyz last said', 'gate'),
  rejected_total: counter('Requests turned away before any work, by reason', 'reason'),
  integrity_fail_total: counter('Bytes that did not match their address or tag, by reason', 'reason'),
  cache_hits_total: counter('Look-ups that a cache in memory answered, by cache', 'cache'),
  cache_misses_total: counter('Look-ups that it did not, by cache', 'cache'),
  cache_bytes: gauge('Bytes in a cache, those still being sent included', 'cache'),
};
