import { rm } from 'node:fs/promises';
import { expect, it, onTestFinished } from 'vitest';
import { startGateway } from '../../src/gateway.ts';
import { openVault } from '../../src/index.ts';
import { internalsOf } from '../../src/vault/opened-vault.ts';
import { repairsOf } from '../../src/vault/repair.ts';
import { CliVault, said } from '../helpers/cli.ts';
import { startService } from '../helpers/services.ts';
import { noise } from '../helpers/vault.ts';

/** What was only late is tried again after a minute. */
const MENDED = { timeout: 200_000 };

/** A vault with an object, of which a provider has lost its part for good. */
async function bereft(): Promise<{ readonly vault: CliVault; readonly manifest: string }> {
  const vault = await CliVault.create();
  onTestFinished(() => vault.remove());
  const put = await vault.run(['put', '-', '--name', 'x', '--json'], { input: noise(300_000) });
  expect(put.code, said(put)).toBe(0);
  await rm(vault.providerRoot('p3'), { recursive: true });
  expect((await vault.run(['providers lost', 'p3', 'on'])).code).toBe(0);
  return { vault, manifest: JSON.parse(put.stdout.toString()).manifest };
}

it('a gateway repairs when it is asked to, without a key', async () => {
  const { vault, manifest } = await bereft();
  const gateway = await startService(['gateway', '--sealed', ...vault.flags]);
  const call = async (method: string, params: object = {}) => {
    const body = JSON.stringify({ jsonrpc: '2.0', method, params, id: 1 });
    const headers = { 'content-type': 'application/json' };
    return (await fetch(`${gateway.url}/rpc`, { method: 'POST', headers, body })).json();
  };
  expect(await call('storage.status')).toMatchObject({ result: { survival: { due: 1 } } });
  expect(await call('storage.repair_run')).toMatchObject({
    result: { manifests: 1, chunks: { success: 1, failure: 0, fatal: 0 }, lost: [{ provider: 'p3' }] },
  });
  const status = await (await fetch(`${gateway.url}/storage/status`)).json();
  expect(status).toMatchObject({ survival: { due: 0 }, lost: [{ provider: 'p3' }] });
  expect(await call('storage.repair_chunk', { manifest, chunk: 0 })).toMatchObject({
    result: { manifest, chunk: 0, status: 'intact' },
  });
  const forced = `${gateway.url}/storage/repair-chunk?manifest=${manifest}&chunk=0&force=true`;
  expect(await (await fetch(forced, { method: 'POST' })).json()).toMatchObject({ status: 'success' });
  const page = { method: 'POST', headers: { origin: 'http://evil.example' } };
  expect((await fetch(`${gateway.url}/storage/repair-run`, page)).status).toBe(403);
  expect(await call('storage.repair_chunk', { manifest, chunk: 9 })).toMatchObject({
    error: { data: { error: 'NotFound' } },
  });
  expect(await gateway.stop()).toBe(0);
  const verified = await vault.run(['verify', 'x']);
  expect(verified.code, said(verified)).toBe(0);
}, 300_000);

it('a gateway repairs by itself where it is told to, and ends with 0', async () => {
  const { vault } = await bereft();
  const gateway = await startService(['gateway', '--sealed', '--with-repair', ...vault.flags]);
  await expect
    .poll(() => gateway.metric('storage_repair_attempts_total{status="success"}'), MENDED)
    .toBeGreaterThan(0);
  expect(await gateway.stop()).toBe(0);
  expect((await vault.run(['verify', 'x'])).code).toBe(0);
}, 300_000);

it('a gateway of a program repairs by itself too, until it is closed', async () => {
  const { vault } = await bereft();
  const opened = await openVault({ home: vault.home, sealed: true, env: {} });
  onTestFinished(() => opened.close());
  const attempts = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { status } of opened.repairHistory()) found.push(status);
    return found;
  };
  await using plain = await startGateway({ vault: opened });
  await using gateway = await startGateway({ vault: opened, withRepair: true });
  expect(plain.url).not.toBe(gateway.url);
  await expect.poll(attempts, MENDED).toContain('success');
  await gateway.close();
  await gateway.close();
  expect((await vault.run(['verify', 'x'])).code).toBe(0);
}, 300_000);

it('one process repairs one thing at a time for those who ask', async () => {
  const { vault } = await bereft();
  const opened = await openVault({ home: vault.home, sealed: true, env: {} });
  onTestFinished(() => opened.close());
  const repairs = repairsOf(internalsOf(opened));
  const { signal } = new AbortController();
  const first = repairs.run(signal);
  await expect(repairs.run(signal)).rejects.toMatchObject({ kind: 'Conflict', code: 'repair_running' });
  expect(await first).toMatchObject({ chunks: { success: 1 }, incomplete: false });
  expect(await repairs.run(signal)).toMatchObject({ chunks: { success: 0 } });
}, 300_000);
