import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { CliVault, said } from '../helpers/cli.ts';
import { startFaultProxy } from '../helpers/fault-proxy.ts';
import { blobsIn, flipBit } from '../helpers/files.ts';
import { metricIn } from '../helpers/metrics.ts';
import { startService } from '../helpers/services.ts';
import { noise } from '../helpers/vault.ts';
import { deps } from '../providers/deps.ts';
import { serveNode } from '../remote/node.ts';
import { RULES, selectorsOf } from './expressions.ts';

const MIB = 1024 ** 2;

async function newVault(config?: string): Promise<CliVault> {
  const vault = await CliVault.create(config);
  onTestFinished(() => vault.remove());
  return vault;
}

/** Puts and returns what the metrics file says. */
async function put(vault: CliVault, bytes: Uint8Array): Promise<string> {
  const file = join(vault.home, 'metrics');
  const outcome = await vault.run(['put', '-', '--name', 'x', '--metrics-file', file], { input: bytes });
  expect([outcome.code, said(outcome)]).toEqual([0, expect.anything()]);
  return readFile(file, 'utf8');
}

it('every counter that an alert looks at is there from the start, so that the first failure is a rise', async () => {
  const vault = await newVault();
  const node = await startService(['node', '--root', join(vault.home, 'node'), '--init']);
  const gateway = await startService(['gateway', ...vault.flags]);
  const [ofNode, ofGateway] = [await node.metrics(), await gateway.metrics()];
  const counters = [...`${ofNode}\n${ofGateway}`.matchAll(/^# TYPE (\w+) counter$/gm)].map(
    ([, name]) => name,
  );
  const wanted = RULES.flatMap(({ expr }) => selectorsOf(expr).map(({ name }) => name)).filter((name) =>
    counters.includes(name),
  );
  expect(wanted).toContain('integrity_fail_total');
  for (const name of wanted.filter((name) => !name.startsWith('cache_'))) {
    const seen = metricIn(ofNode, name) ?? metricIn(ofGateway, name);
    expect([name, seen]).toEqual([name, expect.any(Number)]);
  }
  for (const reason of ['blob', 'length', 'piece', 'unreadable'])
    expect(metricIn(ofNode, `integrity_fail_total{reason="${reason}"}`)).toBe(0);
  expect(metricIn(ofGateway, 'integrity_fail_total{reason="shard"}')).toBe(0);
  expect(metricIn(ofNode, 'requests_total{route="/o/{address}",code="500"}')).toBe(0);
  expect(metricIn(ofNode, 'rejected_total{reason="max_inflight"}')).toBe(0);
  for (const kind of ['slow', 'failing', 'lying', 'denied'])
    expect(metricIn(ofGateway, `storage_provider_failures_total{provider="p1",kind="${kind}"}`)).toBe(0);
});

describe('the figures of a put', () => {
  it('count chunks, and tell the last full one from the remainder', async () => {
    const vault = await newVault();
    const text = await put(vault, noise(2.5 * MIB));
    expect(metricIn(text, 'storage_put_chunk_seconds_count')).toBe(3);
    expect(metricIn(text, 'storage_initial_chunk_size')).toBe(MIB);
    expect(metricIn(text, 'storage_final_chunk_size')).toBe(MIB);
    expect(metricIn(text, 'storage_put_eta_seconds')).toBe(0);
    // One pack each, with shards of all three.
    const listed = await vault.run(['providers', '--json']);
    const rows = JSON.parse(listed.stdout.toString()) as { id: string; totalChunks?: number }[];
    expect(rows.map((row) => row.totalChunks ?? (row as Record<string, unknown>).total_chunks)).toEqual(
      new Array(9).fill(3),
    );
  });

  it('end when providers have acknowledged, not when chunks are encoded', async () => {
    const node = await serveNode(createMemoryAdapter({ id: 'behind', ...deps }));
    const wire = await startFaultProxy(node.port, 1);
    onTestFinished(async () => {
      await wire.close();
      await node.close();
    });
    wire.setLink({ latencyMs: 400, bytesPerSecond: 100 * MIB, loss: 0 });
    const vault = await newVault(
      `[placement]\nmin_tolerates = 0\n[[providers]]\nid = "far"\nadapter = "http"\nurl = "http://127.0.0.1:${wire.port}"\n`,
    );
    const text = await put(vault, noise(MIB));
    const stored = metricIn(text, 'storage_put_chunk_seconds_sum')!;
    expect(metricIn(text, 'storage_put_chunk_seconds_count')).toBe(1);
    expect(stored).toBeGreaterThan(0.4);
  });
});

it('what the weakest object survives is told by who verified them all', async () => {
  const vault = await newVault();
  await put(vault, noise(200_000));
  const file = join(vault.home, 'verified');
  const verify = async (...more: string[]): Promise<string> => {
    await vault.run(['verify', ...more, '--metrics-file', file]);
    return readFile(file, 'utf8');
  };
  expect(metricIn(await verify('x'), 'rf_observed')).toBeUndefined();
  const whole = await verify('--all');
  expect([metricIn(whole, 'rf_target'), metricIn(whole, 'rf_observed')]).toEqual([1, 3]);
  for (const id of ['p1', 'p2']) await rm(vault.providerRoot(id), { recursive: true });
  const observed = metricIn(await verify('--all'), 'rf_observed')!;
  expect(observed).toBeLessThan(3);
  expect(observed).toBeGreaterThanOrEqual(1);
});

it('a provider that lost what it had acknowledged is counted as lying, by the gateway that found out', async () => {
  const vault = await newVault();
  await put(vault, noise(500_000));
  for (const path of await blobsIn(vault.providerRoot('p1'))) await flipBit(path, 1000);
  const gateway = await startService(['gateway', ...vault.flags]);
  for (let i = 0; i < 3; i++) {
    const answer = await fetch(`${gateway.url}/n/x`, { headers: { 'cache-control': 'no-cache' } });
    expect((await answer.arrayBuffer()).byteLength).toBe(500_000);
  }
  const counted = (kind: string): Promise<number | undefined> =>
    gateway.metric(`storage_provider_failures_total{provider="p1",kind="${kind}"}`);
  expect(await counted('lying')).toBeGreaterThan(0);
  expect(await counted('failing')).toBe(0);
  expect(await counted('slow')).toBe(0);
});
