import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { CliVault, said } from '../helpers/cli.ts';
import { blobsIn, flipBit } from '../helpers/files.ts';
import { startService } from '../helpers/services.ts';
import { noise } from '../helpers/vault.ts';

interface Ready {
  readonly status: number;
  readonly reads: boolean;
  readonly writes: boolean;
  readonly reasons: readonly string[];
  readonly loops: readonly { readonly name: string; readonly state: string; readonly last: string }[];
}

async function readyOf(url: string): Promise<Ready> {
  const answer = await fetch(`${url}/readyz`);
  return { status: answer.status, ...((await answer.json()) as Omit<Ready, 'status'>) };
}

const IDS = Array.from({ length: 9 }, (_, i) => `p${i + 1}`);

/** What was only late is tried again after a minute. */
const MENDED = { timeout: 200_000 };

describe('holdfast daemon', { timeout: 290_000 }, () => {
  let vault: CliVault;
  beforeEach(async () => {
    const made = await CliVault.create();
    onTestFinished(() => made.remove());
    vault = made;
  });

  const daemon = (...more: string[]) => startService(['daemon', ...vault.flags, ...more]);

  it('looks after a vault, says how it is, and ends with 0 when it is told to', async () => {
    const put = await vault.run(['put', '-', '--name', 'x'], { input: noise(100_000) });
    expect([put.code, said(put)]).toEqual([0, expect.anything()]);
    const service = await daemon();
    await expect
      .poll(() => readyOf(service.url), { timeout: 30_000 })
      .toMatchObject({
        status: 200,
        reads: true,
        writes: true,
        reasons: [],
        loops: [
          { name: 'status', last: 'ok', failures: 0 },
          { name: 'repair', failures: 0 },
          { name: 'scrub', failures: 0 },
          { name: 'audit', state: 'waiting', last: 'none' },
          { name: 'gc', state: 'waiting', last: 'none' },
        ],
      });
    expect(await (await fetch(`${service.url}/healthz`)).json()).toEqual({ status: 'ok' });
    expect(await (await fetch(`${service.url}/version`)).json()).toMatchObject({
      name: 'holdfast-daemon',
      sealed: false,
    });
    const at = await service.metric('storage_housekeeping_done_timestamp_seconds{chore="status"}');
    expect(at).toBeGreaterThan(1_600_000_000);
    // Its rounds tidy up, and commands work beside it.
    await expect
      .poll(() => service.metric('storage_housekeeping_done_timestamp_seconds{chore="trash"}'), {
        timeout: 30_000,
      })
      .toBeGreaterThan(1_600_000_000);
    expect((await vault.run(['rm', 'x'])).code).toBe(0);
    expect((await fetch(`${service.url}/n/x`)).status).toBe(404);
    expect(await service.stop()).toBe(0);
  });

  it('outlives its providers: it says what is shut, lives on, and goes on when they are back', async () => {
    const away = (id: string): string => `${vault.providerRoot(id)}-away`;
    for (const id of IDS) await rename(vault.providerRoot(id), away(id));
    const service = await daemon();
    await expect
      .poll(() => readyOf(service.url), { timeout: 30_000 })
      .toMatchObject({ status: 503, reads: false, writes: false, reasons: ['providers_unreachable'] });
    expect((await fetch(`${service.url}/healthz`)).status).toBe(200);
    for (const id of IDS) await rename(away(id), vault.providerRoot(id));
    await expect.poll(() => readyOf(service.url), { timeout: 60_000 }).toMatchObject({ status: 200 });
    for (const id of IDS) await rename(vault.providerRoot(id), away(id));
    await expect
      .poll(() => readyOf(service.url), { timeout: 60_000 })
      .toMatchObject({ status: 503, reasons: ['providers_unreachable'] });
    expect(await service.stop()).toBe(0);
  });

  it('ends with 0 though a provider takes what it is asked and never answers', async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as AddressInfo;
    const config = join(vault.home, 'other.toml');
    const near = ['a', 'b', 'c'].map((id) => `[[providers]]\nid = "${id}"\nadapter = "fs"\nroot = "${id}"\n`);
    const far = `[[providers]]\nid = "far"\nadapter = "http"\nurl = "http://127.0.0.1:${port}"\n`;
    await writeFile(config, `[daemon]\ndrain_ms = 300\n${near.join('')}${far}`);
    const service = await startService(['daemon', '--home', vault.home, '--config', config]);
    await expect
      .poll(() => readyOf(service.url), { timeout: 30_000 })
      .toMatchObject({
        loops: [
          { name: 'status', state: 'running' },
          { name: 'repair' },
          { name: 'scrub' },
          { name: 'audit' },
          { name: 'gc' },
        ],
      });
    expect((await fetch(`${service.url}/healthz`)).status).toBe(200);
    const told = performance.now();
    expect(await service.stop()).toBe(0);
    expect(performance.now() - told).toBeLessThan(25_000);
  });

  it('rebuilds what a provider held that is declared lost, without a key', async () => {
    await vault.run(['put', '-', '--name', 'kept'], { input: noise(1_500_000) });
    const service = await daemon('--sealed');
    await rm(join(vault.home, 'providers', 'p3'), { recursive: true });
    expect(await vault.run(['providers lost', 'p3', 'on'])).toMatchObject({ code: 0 });
    await expect
      .poll(() => service.metric('storage_repair_attempts_total{status="success"}'), MENDED)
      .toBeGreaterThan(0);
    expect(await service.stop()).toBe(0);
    expect((await vault.run(['verify', 'kept'])).code).toBe(0);
  });

  it('reads back what is stored, finds what nobody knew to be rotten, and has it repaired, without a key', async () => {
    await vault.run(['put', '-', '--name', 'kept'], { input: noise(500_000) });
    const config = join(vault.home, 'storage.toml');
    await writeFile(config, `${await readFile(config, 'utf8')}\n[scrub]\nevery_days = 1\n`);
    const [path] = await blobsIn(vault.providerRoot('p4'));
    await flipBit(path!, 99);
    const service = await daemon('--sealed');
    await expect
      .poll(() => service.metric('storage_scrub_blobs_total{result="right"}'), { timeout: 60_000 })
      .toBeGreaterThan(0);
    expect(await service.metric('storage_scrub_blobs_total{result="corrupt"}')).toBe(1);
    expect(await service.metric('storage_scrub_blobs_total{result="missing"}')).toBe(0);
    expect(await service.metric('storage_audit_challenges_total{result="missing"}')).toBe(0);
    // What was rotten is part of a chunk, or a manifest node.
    await expect.poll(() => service.metric('storage_repair_bytes_total'), MENDED).toBeGreaterThan(0);
    expect(await service.stop()).toBe(0);
    expect((await vault.run(['verify', 'kept'])).code).toBe(0);
  });

  it('leaves scrub and audit to others where the configuration says so', async () => {
    const config = join(vault.home, 'storage.toml');
    await writeFile(config, `${await readFile(config, 'utf8')}\n[scrub]\nenabled = false\n`);
    const service = await daemon('--sealed');
    const { loops } = await readyOf(service.url);
    expect(loops.map(({ name }) => name)).toEqual(['status', 'repair']);
    expect(await service.metrics()).not.toContain('storage_scrub_blobs_total{');
    expect(await service.stop()).toBe(0);
  });

  it('needs no key when it is sealed, and tidies nothing up then', async () => {
    await rm(join(vault.home, 'vault.key'));
    const service = await daemon('--sealed');
    await expect
      .poll(() => readyOf(service.url), { timeout: 30_000 })
      .toMatchObject({
        status: 200,
        loops: [
          { name: 'status', last: 'ok' },
          { name: 'repair', last: 'ok' },
          { name: 'scrub' },
          { name: 'audit' },
        ],
      });
    expect(await (await fetch(`${service.url}/version`)).json()).toMatchObject({ sealed: true });
    expect(await service.metrics()).not.toContain('chore="trash"');
    expect(await service.stop()).toBe(0);
  });

  it('lets in those with a token, and tells a place that is taken', async () => {
    const service = await daemon('--token', 'a-token-of-some-length');
    const ask = async (path: string, headers = {}) => (await fetch(service.url + path, { headers })).status;
    const token = { authorization: 'Bearer a-token-of-some-length' };
    expect(await Promise.all(['/healthz', '/metrics', '/version'].map((path) => ask(path)))).toEqual([
      200, 401, 401,
    ]);
    expect([await ask('/metrics', token), await ask('/o', token)]).toEqual([200, 404]);
    expect(await service.stop()).toBe(0);

    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void taken.close());
    const { port } = taken.address() as AddressInfo;
    const refused = await vault.run(['daemon', '--bind', `127.0.0.1:${port}`]);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining(String(port))]);
    expect(refused.stderr).not.toContain('    at ');
    const nowhere = await vault.run(['daemon', '--bind', 'nowhere']);
    expect([nowhere.code, nowhere.stderr]).toEqual([2, expect.stringContaining('HOST:PORT')]);
  });
});
