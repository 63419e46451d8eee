import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ProviderHealth } from '../../src/catalog/catalog.ts';
import { createTelemetry, silentMetrics } from '../../src/telemetry/index.ts';
import type { Metrics } from '../../src/telemetry/metrics.ts';
import { METRICS, type MetricName } from '../../src/telemetry/names.ts';

const codec = { erasure: 'lrc', compression: 'zstd' };

/** The public names with their types and labels: a change here breaks somebody's dashboard. */
const PUBLIC: Record<string, [type: string, ...labels: string[]]> = {
  storage_chunk_size_bytes: ['histogram'],
  storage_put_object_seconds: ['histogram', 'erasure', 'compression'],
  storage_put_chunk_seconds: ['histogram', 'erasure', 'compression'],
  storage_stage_seconds_total: ['counter', 'stage'],
  storage_provider_rtt_ms: ['gauge', 'provider'],
  storage_provider_loss_rate: ['gauge', 'provider'],
  storage_provider_failures_total: ['counter', 'provider', 'kind'],
  storage_initial_chunk_size: ['gauge'],
  storage_final_chunk_size: ['gauge'],
  storage_put_eta_seconds: ['gauge'],
  storage_engine_info: ['gauge', 'name', 'engine'],
  storage_backlog: ['gauge', 'kind'],
  storage_unreadable_records: ['gauge', 'table'],
  storage_housekeeping_failures_total: ['counter', 'chore'],
  storage_housekeeping_done_timestamp_seconds: ['gauge', 'chore'],
  storage_scrub_blobs_total: ['counter', 'result'],
  storage_audit_challenges_total: ['counter', 'result'],
  storage_unsettled_epochs: ['gauge', 'state'],
  storage_reward_pool_credits: ['gauge'],
  storage_repair_attempts_total: ['counter', 'status'],
  storage_repair_failures_total: ['counter', 'error', 'erasure', 'compression'],
  storage_repair_bytes_total: ['counter'],
  storage_repair_backlog: ['gauge'],
  storage_repair_paced_seconds_total: ['counter'],
  storage_repair_egress_bytes: ['gauge', 'provider'],
  storage_moves_total: ['counter', 'kind', 'status'],
  storage_moved_bytes_total: ['counter', 'kind'],
  rf_target: ['gauge'],
  rf_observed: ['gauge'],
  read_denied_total: ['counter', 'reason'],
  receipts_total: ['counter', 'kind'],
  receipts_rejected_total: ['counter', 'reason'],
  receipts_lost_total: ['counter'],
  requests_total: ['counter', 'route', 'code'],
  bytes_in_total: ['counter'],
  bytes_out_total: ['counter'],
  latency_seconds: ['histogram', 'route'],
  inflight: ['gauge'],
  gate_open: ['gauge', 'gate'],
  rejected_total: ['counter', 'reason'],
  integrity_fail_total: ['counter', 'reason'],
  cache_hits_total: ['counter', 'cache'],
  cache_misses_total: ['counter', 'cache'],
  cache_bytes: ['gauge', 'cache'],
};

/** Calls every recording port once. */
function recordAll(metrics: Metrics): void {
  metrics.pipeline.putObject(2, codec);
  metrics.pipeline.putChunk(0.3, codec);
  metrics.pipeline.chunkSize(1024 ** 2);
  metrics.pipeline.objectChunkSizes(1024 ** 2, 4 * 1024 ** 2);
  metrics.pipeline.putEta(12);
  metrics.pipeline.survival(3, -1);
  metrics.pipeline.stage('encode', 0.002);
  metrics.providers.providerHealth('p1', 25, 0.02);
  metrics.providers.providerFailures('p1', 'slow', 1);
  metrics.housekeeping.scrubbed('right', 7);
  metrics.housekeeping.audited('missing', 1);
  metrics.repair.attempt('success');
  metrics.repair.failure('integrity', codec);
  metrics.repair.bytes(4096);
  metrics.repair.backlog(12);
  metrics.repair.paced(0.5);
  metrics.repair.egress('p1', 8192);
  metrics.repair.moved('evacuate', 'success', 512);
  metrics.engines.engineInfo('names', 'level');
  metrics.receipts.written('signed');
  metrics.receipts.rejected('forged');
  metrics.receipts.lost();
  metrics.services.request('/o/:address', 200, 0.004);
  metrics.services.bytesIn(10);
  metrics.services.bytesOut(20);
  metrics.services.inflight(4);
  metrics.services.rejected('rate');
  metrics.services.readDenied('quota');
  metrics.services.integrityFail('hash');
}

describe('telemetry', () => {
  it('declares every public name with type and help before anything is recorded', async () => {
    const text = await (await createTelemetry()).renderMetrics();
    expect(Object.keys(METRICS).toSorted()).toEqual(Object.keys(PUBLIC).toSorted());
    for (const [name, [type, ...labels]] of Object.entries(PUBLIC)) {
      expect(text).toMatch(new RegExp(`^# HELP ${name} \\S`, 'm'));
      expect(text).toContain(`# TYPE ${name} ${type}\n`);
      expect(METRICS[name as MetricName].labels).toEqual(labels);
    }
  });

  it('shows what was recorded, each under its name and labels', async () => {
    const telemetry = await createTelemetry();
    recordAll(telemetry);
    const lines = (await telemetry.renderMetrics()).split('\n').filter((line) => !line.startsWith('#'));
    for (const line of [
      'storage_put_object_seconds_sum{erasure="lrc",compression="zstd"} 2',
      'storage_put_chunk_seconds_sum{erasure="lrc",compression="zstd"} 0.3',
      'storage_chunk_size_bytes_bucket{le="524288"} 0',
      'storage_chunk_size_bytes_bucket{le="1048576"} 1',
      'storage_initial_chunk_size 1048576',
      'storage_final_chunk_size 4194304',
      'storage_put_eta_seconds 12',
      'storage_provider_rtt_ms{provider="p1"} 25',
      'storage_provider_loss_rate{provider="p1"} 0.02',
      'storage_scrub_blobs_total{result="right"} 7',
      'storage_audit_challenges_total{result="missing"} 1',
      'storage_repair_attempts_total{status="success"} 1',
      'storage_repair_failures_total{error="integrity",erasure="lrc",compression="zstd"} 1',
      'storage_repair_bytes_total 4096',
      'storage_repair_backlog 12',
      'storage_repair_paced_seconds_total 0.5',
      'storage_repair_egress_bytes{provider="p1"} 8192',
      'storage_moves_total{kind="evacuate",status="success"} 1',
      'storage_moved_bytes_total{kind="evacuate"} 512',
      'receipts_total{kind="signed"} 1',
      'receipts_rejected_total{reason="forged"} 1',
      'receipts_lost_total 1',
      'rf_target 3',
      'rf_observed -1',
      'storage_provider_failures_total{provider="p1",kind="slow"} 1',
      'storage_engine_info{name="names",engine="level"} 1',
      'requests_total{route="/o/:address",code="200"} 1',
      'latency_seconds_sum{route="/o/:address"} 0.004',
      'bytes_in_total 10',
      'bytes_out_total 20',
      'inflight 4',
      'rejected_total{reason="rate"} 1',
      'read_denied_total{reason="quota"} 1',
      'integrity_fail_total{reason="hash"} 1',
    ]) {
      expect(lines).toContain(line);
    }
    expect(telemetry.contentType).toContain('text/plain');
  });

  it('states nothing of what nobody recorded', async () => {
    const text = await (await createTelemetry()).renderMetrics();
    const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    const stated = series.filter(
      (line) => /^(storage_|read_denied|rejected)/.test(line) && !/ 0$/.test(line),
    );
    expect(stated).toEqual([]);
    expect(series.filter((line) => /^(rf_|storage_put_eta|storage_final)/.test(line))).toEqual([]);
    expect(series).toContain('inflight 0');
  });

  it('keeps two registries apart', async () => {
    const [one, two] = [await createTelemetry(), await createTelemetry()];
    one.services.bytesIn(5);
    expect(await one.renderMetrics()).toContain('\nbytes_in_total 5\n');
    expect(await two.renderMetrics()).toContain('\nbytes_in_total 0\n');
  });

  it('bounds the values of a label, whatever outsiders send', async () => {
    const telemetry = await createTelemetry();
    for (let i = 0; i < 5000; i++) telemetry.services.rejected(`reason ${i}`);
    telemetry.services.rejected('x'.repeat(10_000));
    telemetry.services.rejected('reason 0');
    const text = await telemetry.renderMetrics();
    expect(text.match(/^rejected_total\{/gm)).toHaveLength(129);
    expect(text).toContain('rejected_total{reason="other"} 4873');
    expect(text).toContain('rejected_total{reason="reason 0"} 2');
  });

  it('never throws on a figure that is none, and records nothing for it', async () => {
    const telemetry = await createTelemetry();
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, -1]) {
      telemetry.services.bytesIn(wrong);
      telemetry.pipeline.putChunk(wrong, codec);
    }
    telemetry.pipeline.putEta(Number.NaN);
    const text = await telemetry.renderMetrics();
    expect(text).toContain('\nbytes_in_total 0\n');
    expect(text).not.toContain('storage_put_chunk_seconds_count{');
    expect(text).not.toContain('\nstorage_put_eta_seconds ');
  });

  it('has a silent twin that takes every call', () => {
    expect(() => recordAll(silentMetrics)).not.toThrow();
  });

  it('can be handed to the catalog as it is', async () => {
    const health: ProviderHealth = (await createTelemetry()).providers;
    expect(health.providerHealth).toBeTypeOf('function');
  });

  it('is the only part that names the metrics library', async () => {
    const source = resolve(import.meta.dirname, '../../src');
    const files = (await readdir(source, { recursive: true })).filter((file) => file.endsWith('.ts'));
    const naming: string[] = [];
    for (const file of files) {
      if ((await readFile(join(source, file), 'utf8')).includes("'prom-client'")) naming.push(file);
    }
    expect(naming.map((file) => file.split('/')[0])).toEqual(naming.map(() => 'telemetry'));
    expect(naming).not.toEqual([]);
  });
});
