import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { CliVault, MAIN, said } from '../helpers/cli.ts';
import { startService } from '../helpers/services.ts';
import { noise } from '../helpers/vault.ts';

/** Starts a gateway whose log can be read once it has stopped. */
async function startGateway(vault: CliVault) {
  let out = '';
  const { child, outcome } = vault.start(['gateway', '--bind', '127.0.0.1:0', '--json'], {
    onOutput: (piece) => {
      out += String(piece);
    },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await expect.poll(() => out, { timeout: 30_000 }).toContain('\n');
  const { listening } = JSON.parse(out) as { listening: { url: string }[] };
  return {
    url: listening[0]!.url,
    async stop(): Promise<string> {
      child.kill('SIGTERM');
      return (await outcome).stderr;
    },
  };
}

it('a gateway sees within seconds what another process decides, tells it, and keeps what it learnt', async () => {
  const vault = await CliVault.create();
  onTestFinished(() => vault.remove());
  const put = await vault.run(['put', '-', '--name', 'x'], { input: noise(200_000) });
  expect([put.code, said(put)]).toEqual([0, expect.anything()]);
  await rename(vault.providerRoot('p9'), `${vault.providerRoot('p9')}-away`);

  const gateway = await startGateway(vault);
  const states = async (): Promise<Record<string, string>> => {
    const answer = await fetch(`${gateway.url}/storage/providers`);
    const { providers } = (await answer.json()) as { providers: { id: string; state: string }[] };
    return Object.fromEntries(providers.map(({ id, state }) => [id, state]));
  };
  await expect.poll(states, { timeout: 20_000 }).toMatchObject({ p1: 'ok', p9: 'unreachable' });
  expect((await vault.run(['providers maintenance', 'p1', 'on'])).code).toBe(0);
  await expect.poll(states, { timeout: 20_000 }).toMatchObject({ p1: 'maintenance' });
  const log = await gateway.stop();
  expect(log).toContain('"event":"maintenance_on"');
  expect(log).toContain('"provider":"p1"');
  // What its probes found is there for the next process.
  const listed = await vault.run(['providers', '--json']);
  expect(JSON.parse(listed.stdout.toString())[8]).toMatchObject({ id: 'p9', state: 'unreachable' });
}, 60_000);

it('a vault that nobody closes keeps no process alive', async () => {
  const vault = await CliVault.create();
  onTestFinished(() => vault.remove());
  const library = pathToFileURL(join(dirname(MAIN), '..', 'index.js')).href;
  const program = `const { openVault } = await import(${JSON.stringify(library)});
    const vault = await openVault({ home: ${JSON.stringify(vault.home)}, background: 'at once' });
    for await (const _ of vault.listObjects());`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [code] = (await once(child, 'exit')) as [number];
  expect(code).toBe(0);
}, 25_000);

it('a node over backends shows in its metrics whether they answer', async () => {
  const vault = await CliVault.create();
  onTestFinished(() => vault.remove());
  await rename(vault.providerRoot('p2'), `${vault.providerRoot('p2')}-away`);
  const node = await startService(['node', ...vault.flags, '--backend', 'p1', '--backend', 'p2']);
  const loss = (id: string) => node.metric(`storage_provider_loss_rate{provider="${id}"}`);
  await expect.poll(() => loss('p1'), { timeout: 20_000 }).toBe(0);
  await expect.poll(() => loss('p2'), { timeout: 20_000 }).toBeCloseTo(0.2, 6);
  expect(await node.stop()).toBe(0);
}, 60_000);
