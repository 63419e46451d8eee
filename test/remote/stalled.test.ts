import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { internalsOf } from '../../src/vault/opened-vault.ts';
import { startFaultProxy } from '../helpers/fault-proxy.ts';
import { noise, readAll } from '../helpers/vault.ts';
import { deps } from '../providers/deps.ts';
import { serveNode } from './node.ts';
import { openOver } from './vaults.ts';

const home = await mkdtemp(join(tmpdir(), 'holdfast-stalled-'));
const node = await serveNode(createMemoryAdapter({ id: 'behind', ...deps }));
const wire = await startFaultProxy(node.port);
afterAll(async () => {
  await wire.close();
  await node.close();
  await rm(home, { recursive: true, force: true });
});

const near = Array.from({ length: 8 }, (_, i) => ({
  id: `m${i}`,
  domain: `m${i}`,
  keys: 'adapter = "memory"',
}));
const far = { id: 'far', domain: 'far', keys: `adapter = "http"\nurl = "http://127.0.0.1:${wire.port}"` };

it('a link that falls silent in the middle of things costs a put one unanswered probe, not the whole patience', async () => {
  // An hour of patience: whoever waits for that does not get through.
  const settings = '[limits]\nstall_ms = 3600000\nprobe_ms = 500\nmax_attempts = 1';
  const vault = await openOver(home, [...near, far], settings);
  expect((await vault.putObject(noise(300_000), { name: 'before' })).certificate.providers).toBe(9);
  wire.stall();
  const started = performance.now();
  const put = await vault.putObject(noise(300_000, 2), { name: 'x' });
  const seconds = (performance.now() - started) / 1000;
  expect(put.failedAttempts).toMatchObject([
    { provider: 'far', code: 'stalled', error: expect.stringContaining('does not answer') },
  ]);
  expect(put.certificate.providers).toBe(8);
  expect((await readAll(await vault.getObject('x'))).length).toBe(300_000);
  const state = internalsOf(vault)
    .catalog.snapshot()
    .find(({ id }) => id === 'far')!;
  expect(state.state).toBe('unreachable');
  console.log(`a link that fell silent held a put up for ${seconds.toFixed(1)} s; ${state.why}`);
  wire.start();
  await vault.close();
});

it('a provider that stays silent delays no run by a whole probe, and is let back when it answers', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-silent-'));
  // A probe that is waited for holds a run up for so long.
  const settings = '[limits]\nprobe_ms = 20000\nmax_attempts = 1';
  const run = async (): Promise<{ readonly state: string; readonly ms: number }> => {
    const started = performance.now();
    const vault = await openOver(dir, [...near, far], settings);
    await vault.putObject(noise(10_000), { name: 'x' });
    await vault.close();
    const { state } = internalsOf(vault)
      .catalog.snapshot()
      .find(({ id }) => id === 'far')!;
    return { state, ms: Math.round(performance.now() - started) };
  };
  wire.stall();
  const silent = [];
  for (let i = 0; i < 6; i++) silent.push(await run());
  // That a probe was in vain is remembered, and later runs wait for the others only.
  expect(silent.map(({ state }) => state)).toEqual(Array(6).fill('unreachable'));
  expect(Math.max(...silent.map(({ ms }) => ms))).toBeLessThan(20_000);
  wire.start();
  const back = [];
  for (let i = 0; i < 20 && back.at(-1)?.state !== 'ok'; i++) back.push(await run());
  expect(back.at(-1)).toMatchObject({ state: 'ok' });
  console.log(`silent: ${silent.map(({ ms }) => ms).join(', ')} ms a run; back after ${back.length} runs`);
  await rm(dir, { recursive: true, force: true });
});

it('a put does not wait for the probe of who hangs, nor does closing, though both have hours', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-patient-'));
  const settings = '[limits]\nprobe_ms = 60000\nstall_ms = 3600000\nmax_attempts = 1';
  const vault = await openOver(dir, [...near, far], settings);
  wire.stall();
  const put = await vault.putObject(noise(10_000), { name: 'x' });
  expect(put.leftOut).toMatchObject([{ id: 'far', why: expect.stringContaining('long after the others') }]);
  // What it may hold of the removed is queued, and tried again by nobody who would have to wait.
  await vault.deleteObject('x');
  await vault.close();
  wire.start();
  await rm(dir, { recursive: true, force: true });
}, 50_000);
