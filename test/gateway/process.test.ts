import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { createLevelEngine } from '../../src/engine/index.ts';
import { metricIn } from '../helpers/metrics.ts';
import { noise } from '../helpers/vault.ts';

const DIST = process.env.HOLDFAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
const MAIN = join(DIST, 'cli', 'main.js');
const BYTES = noise(700_001, 9);
const PASSPHRASE = 'correct horse battery staple';
let home: string;
let manifest: string;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[], env: Record<string, string> = {}) {
  if (!existsSync(MAIN)) throw new Error(`there is no ${MAIN}: run \`npm run build\` first`);
  const { PATH, HOLDFAST_NATIVE } = process.env;
  const child = spawn(process.execPath, [MAIN, ...args, '--home', home], {
    env: { PATH, HOLDFAST_NATIVE, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const out: Record<'stdout' | 'stderr', string> = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].on('data', (piece: Buffer) => {
      out[stream] += piece.toString();
    });
  }
  const ended = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ code, ...out })));
  return { child, ended };
}

const run = (args: readonly string[], env: Record<string, string> = { HOLDFAST_PASSPHRASE: PASSPHRASE }) =>
  start(args, env).ended;

async function serve(
  args: readonly string[],
  env: Record<string, string> = { HOLDFAST_PASSPHRASE: PASSPHRASE },
): Promise<{ child: ChildProcess; ended: Promise<Ended>; url: string }> {
  const { child, ended } = start(['gateway', '--bind', '127.0.0.1:0', '--json', ...args], env);
  onTestFinished(() => void child.kill('SIGKILL'));
  const first = new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (piece: Buffer) => resolve(piece.toString()));
    ended.then(({ stderr }) => reject(new Error(stderr)));
  });
  return { child, ended, url: JSON.parse(await first).listening[0].url };
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-gateway-'));
  await run(['init']);
  await writeFile(join(home, 'object.bin'), BYTES);
  const put = await run([
    'put',
    join(home, 'object.bin'),
    '--name',
    'dir/object',
    '--content-type',
    'image/png',
    '--json',
  ]);
  manifest = JSON.parse(put.stdout).manifest;
});
afterAll(() => rm(home, { recursive: true, force: true }));

it('serves a vault while providers are gone or rotten, and stops when it is told to', async () => {
  const { child, ended, url } = await serve([]);
  const providers = join(home, 'providers');
  await rm(join(providers, 'p1'), { recursive: true });
  for (const entry of await readdir(join(providers, 'p2'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.parentPath.includes('blobs')) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    bytes[bytes.length >> 1]! ^= 4;
    await writeFile(path, bytes);
  }
  const answer = await fetch(`${url}/n/dir/object`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('etag')).toBe(`"${manifest}"`);
  expect(answer.headers.get('content-type')).toBe('image/png');
  expect(Buffer.from(await answer.arrayBuffer()).equals(BYTES)).toBe(true);
  const page = (await (await fetch(`${url}/storage/manifests`)).json()) as { policy: unknown };
  expect(page.policy).toMatchObject({ erasure: { algorithm: 'lrc', fallbackAllowed: false } });
  expect(await (await fetch(`${url}/metrics`)).text()).toContain(
    'requests_total{route="/n/{name}",code="200"} 1',
  );
  child.kill('SIGTERM');
  expect((await ended).code).toBe(0);
});

it('asks for no passphrase when it is sealed, and serves no plaintext then', async () => {
  const { url } = await serve(['--sealed'], {});
  expect((await fetch(`${url}/m/${manifest}`)).status).toBe(403);
  const block = await fetch(`${url}/manifests/${manifest}`);
  expect([block.status, block.headers.get('etag')]).toEqual([200, `"${manifest}"`]);
});

it('shows what housekeeping has left to do, what it cannot read, and how chores went that others did', async () => {
  const fresh = await mkdtemp(join(tmpdir(), 'holdfast-gateway-'));
  onTestFinished(() => rm(fresh, { recursive: true, force: true }));
  const before = home;
  home = fresh;
  try {
    await run(['init']);
    const put = async (seed: number) => {
      await writeFile(join(home, 'object.bin'), noise(50_000, seed));
      expect(await run(['put', join(home, 'object.bin'), '--name', 'x'])).toMatchObject({ code: 0 });
    };
    await put(1);
    await put(2);
    const clock = systemClock;
    const engine = createLevelEngine({
      location: join(home, 'engine'),
      clock,
      lockWaitMs: 5_000,
      idleReleaseMs: 0,
    });
    await engine.table('journal').put('no journal', new Uint8Array(3));
    await engine.close();
    const { child, ended, url } = await serve([]);
    const metric = async (series: string) => metricIn(await (await fetch(`${url}/metrics`)).text(), series);
    expect(await metric('storage_backlog{kind="retired_later"}')).toBe(1);
    expect(await metric('storage_backlog{kind="journals_dead"}')).toBe(0);
    expect(await metric('storage_unreadable_records{table="journal"}')).toBe(1);
    expect(await metric('storage_housekeeping_done_timestamp_seconds{chore="index"}')).toBeGreaterThan(1e9);
    expect(await metric('storage_housekeeping_failures_total{chore="index"}')).toBe(0);
    child.kill('SIGTERM');
    expect((await ended).code).toBe(0);
  } finally {
    home = before;
  }
});

it('without a key binds the home to none', async () => {
  const fresh = await mkdtemp(join(tmpdir(), 'holdfast-gateway-'));
  onTestFinished(() => rm(fresh, { recursive: true, force: true }));
  const before = home;
  home = fresh;
  try {
    await run(['init']);
    const { child, ended } = await serve(['--sealed'], {});
    child.kill('SIGTERM');
    expect((await ended).code).toBe(0);
    await writeFile(join(home, 'object.bin'), BYTES.subarray(0, 5000));
    expect(await run(['put', join(home, 'object.bin')])).toMatchObject({ code: 0 });
  } finally {
    home = before;
  }
});

it('is not ready when what is kept cannot be decoded any more, and says so at once', async () => {
  const copy = await mkdtemp(join(tmpdir(), 'holdfast-gateway-'));
  onTestFinished(() => rm(copy, { recursive: true, force: true }));
  await cp(home, copy, { recursive: true });
  const before = home;
  home = copy;
  try {
    const { url } = await serve([]);
    const ready = async () => {
      const answer = await fetch(`${url}/readyz`);
      return [answer.status, await answer.json()];
    };
    // One of the nine went in a test before.
    expect(await ready()).toMatchObject([200, { reads: true }]);
    for (const id of ['p3', 'p4', 'p5', 'p6', 'p7', 'p8'])
      await rm(join(copy, 'providers', id), { recursive: true });
    await expect
      .poll(ready)
      .toMatchObject([503, { reads: false, reasons: ['undecodable', 'too_few_providers'] }]);
  } finally {
    home = before;
  }
});

it('keeps plaintext to those with a token', async () => {
  const token = 'a-token-for-the-gateway';
  const { url } = await serve([], { HOLDFAST_PASSPHRASE: PASSPHRASE, HOLDFAST_GATEWAY_TOKEN: token });
  expect((await fetch(`${url}/m/${manifest}`)).status).toBe(401);
  const headers = { authorization: `Bearer ${token}` };
  expect((await fetch(`${url}/m/${manifest}`, { method: 'HEAD', headers })).status).toBe(200);
});

it.each([
  [['--bind', '0.0.0.0:0'], PASSPHRASE, 2, '--public'],
  [['--bind', 'nowhere'], PASSPHRASE, 2, 'HOST:PORT'],
  [[], PASSPHRASE, 2, '--bind'],
  [['--bind', '127.0.0.1:0', '--token-file', '/absent'], PASSPHRASE, 2, 'token file'],
  [['--bind', '127.0.0.1:0'], 'wrong', 5, 'passphrase'],
])('says what is wrong with %j and ends', async (flags, passphrase, code, said) => {
  const ended = await run(['gateway', ...flags], { HOLDFAST_PASSPHRASE: passphrase });
  expect([ended.code, ended.stderr]).toEqual([code, expect.stringContaining(said)]);
});

it('shows the policy that the emergency switch makes', async () => {
  const config = join(home, 'switched.toml');
  await writeFile(config, '[rollout]\nallow_fallback_coder = true\nrequire_emergency_switch = true\n');
  const policyWith = async (env: Record<string, string>): Promise<unknown> => {
    const { url, child } = await serve(['--sealed', '--config', config], env);
    const page = (await (await fetch(`${url}/storage/manifests`)).json()) as { policy: unknown };
    child.kill('SIGTERM');
    return page.policy;
  };
  const compression = { fallbackAllowed: false, emergency: false };
  expect(await policyWith({})).toMatchObject({
    erasure: { fallbackAllowed: false, needsEmergencySwitch: true, emergency: false },
    compression,
  });
  expect(await policyWith({ HOLDFAST_STORAGE_FALLBACK_EMERGENCY: '1' })).toMatchObject({
    erasure: { fallbackAllowed: true, needsEmergencySwitch: true, emergency: true },
    compression,
  });
});
