import { execFileSync, spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { METRICS } from '../../src/telemetry/names.ts';
import { absent } from '../helpers/absent.ts';
import { CliVault } from '../helpers/cli.ts';
import { blobsIn, flipBit } from '../helpers/files.ts';
import { type ServiceProcess, startService } from '../helpers/services.ts';
import { noise } from '../helpers/vault.ts';
import { expressions, RULES, selectorsOf } from './expressions.ts';

const fileOf = (name: string): string =>
  fileURLToPath(new URL(`../../docs/operations/${name}`, import.meta.url));
const status = async (url: string, init?: RequestInit): Promise<number> => {
  const answer = await fetch(url, init);
  await answer.arrayBuffer();
  return answer.status;
};

/** A node that has served from memory, found rot and turned clients away. */
async function busyNode(folder: string): Promise<ServiceProcess> {
  const root = join(folder, 'node');
  const node = await startService(['node', '--root', root, '--init', '--max-client-rps', '9']);
  expect(await status(`${node.url}/o`, { method: 'POST', body: new Uint8Array(noise(100_000)) })).toBe(201);
  const [path] = await blobsIn(root);
  const url = `${node.url}/o/b3:${path!.split('/').slice(-2).join('')}`;
  for (let i = 0; i < 3; i++) expect(await status(url)).toBe(200);
  await flipBit(path!, 99);
  expect(await status(url)).toBe(500);
  for (let i = 0; i < 15; i++) await status(url);
  return node;
}

/** A gateway that has served an object twice. */
async function busyGateway(vault: CliVault): Promise<ServiceProcess> {
  const gateway = await startService(['gateway', ...vault.flags]);
  for (let i = 0; i < 2; i++) expect(await status(`${gateway.url}/n/object`)).toBe(200);
  await status(`${gateway.url}/readyz`);
  await expect.poll(() => gateway.metric('storage_provider_rtt_ms')).toBeDefined();
  return gateway;
}

/** A daemon, for what only one that repairs has. */
async function askedDaemon(vault: CliVault): Promise<ServiceProcess> {
  const daemon = await startService(['daemon', ...vault.flags]);
  await status(`${daemon.url}/readyz`);
  return daemon;
}

it('every metric of the rules and the dashboard is one that running programs expose', async () => {
  const vault = await CliVault.create();
  onTestFinished(() => vault.remove());
  const file = join(vault.home, 'metrics');
  const put = ['put', '-', '--name', 'object', '--metrics-file', file];
  expect((await vault.run(put, { input: noise(500_000) })).code).toBe(0);
  const verified = join(vault.home, 'verified');
  expect((await vault.run(['verify', '--all', '--metrics-file', verified])).code).toBe(0);
  const node = await busyNode(vault.home);
  const gateway = await busyGateway(vault);
  const exposed = [
    await readFile(file, 'utf8'),
    await readFile(verified, 'utf8'),
    await node.metrics(),
    await gateway.metrics(),
  ].join('\n');
  const daemon = await askedDaemon(vault);
  const repairing = await daemon.metrics();
  const seriesIn = (text: string): string[] =>
    [...text.matchAll(/^([a-z_]+)(?:\{.*\})? /gm)].map(([, name]) => name!);
  const series = new Set(seriesIn(exposed));
  const everywhere = new Set([...series, ...seriesIn(repairing)]);
  // They are there once something was repaired, or could not be.
  const later = new Set(Object.keys(METRICS).filter((name) => name.startsWith('storage_repair_')));
  const recorded = new Set(RULES.flatMap(({ record }) => record ?? []));
  const wanted = new Set(expressions().flatMap((expr) => selectorsOf(expr).map(({ name }) => name)));
  expect(
    [...wanted].filter((name) => !recorded.has(name) && !everywhere.has(name) && !later.has(name)),
  ).toEqual([]);
  expect([...series].filter((name) => /^storage_repair_/.test(name))).toEqual([]);
}, 60_000);

it('Prometheus takes the rules', ({ skip }) => {
  if (spawnSync('promtool', ['--version']).error !== undefined) {
    absent('promtool is not installed', 'that Prometheus takes the rules');
    skip();
  }
  expect(execFileSync('promtool', ['check', 'rules', fileOf('prometheus-rules.yml')]).toString()).toContain(
    `SUCCESS: ${RULES.length} rules found`,
  );
});

it('every rule has the keys of its kind and no other', () => {
  for (const rule of RULES) {
    const allowed = 'record' in rule ? ['record', 'expr'] : ['alert', 'expr', 'for', 'labels', 'annotations'];
    expect(Object.keys(rule).filter((key) => !allowed.includes(key))).toEqual([]);
    if (rule.alert === undefined) continue;
    expect(rule.labels!.severity).toMatch(/^(page|ticket)$/);
    expect(rule.annotations).toMatchObject({ summary: expect.any(String), action: expect.any(String) });
    expect(rule.for ?? '1m').toMatch(/^\d+[smh]$/);
  }
});
