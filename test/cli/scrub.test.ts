import { spawnSync } from 'node:child_process';
import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CliVault, providersToml, said } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';

let cli: CliVault;
beforeAll(async () => {
  cli = await CliVault.create(providersToml(4));
  expect(said(await cli.run(['put', '-', '--name', 'x'], { input: noise(90_000) }))).toContain('survives');
});
afterAll(() => cli.remove());

const blobsOf = async (id: string): Promise<string[]> => {
  const root = join(cli.providerRoot(id), 'blobs');
  const names = await readdir(root, { recursive: true });
  return names.filter((name) => name.replaceAll(/\W/g, '').length === 64).map((name) => join(root, name));
};

it('scrub says that all is well, with the key out of reach', async () => {
  const key = join(cli.home, 'vault.key');
  await rename(key, `${key}.away`);
  const run = await cli.run(['scrub', '--bytes-per-second', '5MiB']);
  await rename(`${key}.away`, key);
  expect(said(run)).toMatch(/^0: provider +packs/);
  expect(said(run)).toContain('corrupt 0');
});

it('scrub finds what is missing and what is rotten, says how to go on, and exits with 5', async () => {
  const [first] = await blobsOf('p1');
  const [second] = await blobsOf('p2');
  await rm(first!);
  await writeFile(second!, noise(100));
  const run = await cli.run(['scrub', '--json']);
  expect(run.code).toBe(5);
  expect(run.stderr.toString()).toContain('holdfast repair-run');
  const { damaged, subset, resumed } = JSON.parse(run.stdout.toString());
  expect({ damaged, subset, resumed }).toEqual({ damaged: 2, subset: { part: 1, of: 1 }, resumed: false });
  const parts = ['1/2', '2/2'].map(async (part) => (await cli.run(['scrub', '--subset', part])).code);
  expect(await Promise.all(parts)).toContain(5);
});

it('a scrub that was killed is gone on with by the next command', async () => {
  for (let i = 0; i < 20; i++) await writeFile(join(cli.home, `small-${i}`), noise(500, i + 1));
  expect((await cli.run(['put', join(cli.home, 'small-*')])).code).toBe(0);
  const kill = `
    import { openVault } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)};
    const vault = await openVault({ home: ${JSON.stringify(cli.home)}, sealed: true, housekeeping: false });
    await vault.scrub({ onProgress: () => process.kill(process.pid, 'SIGKILL') });`;
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', kill], { encoding: 'utf8' });
  expect([child.signal, child.stderr]).toEqual(['SIGKILL', '']);
  const run = await cli.run(['scrub', '--json']);
  expect(JSON.parse(run.stdout.toString())).toMatchObject({
    resumed: true,
    manifests: 21,
    segments: 21,
    damaged: 2,
  });
  const again = await cli.run(['scrub', '--json']);
  expect(JSON.parse(again.stdout.toString())).toMatchObject({ resumed: false, manifests: 21, damaged: 2 });
});

it('scrub refuses a part that is none, and a rate that is none', async () => {
  for (const flags of [
    ['--subset', '3/2'],
    ['--subset', '1'],
    ['--bytes-per-second', 'fast'],
  ])
    expect(said(await cli.run(['scrub', ...flags]))).toMatch(/^2: /);
});

it('audit tells its plan, catches who dropped something, and exits with 5', async () => {
  const all = await cli.run(['audit', '--json', '--provider', 'p3']);
  expect(all.code).toBe(0);
  expect(JSON.parse(all.stdout.toString())).toMatchObject({
    ...{ challenges: 688, share: 0.01, confidence: 0.999, whole: true },
    providers: [{ provider: 'p3', state: 'passed' }],
  });
  for (const blob of await blobsOf('p4')) await rm(blob);
  const run = await cli.run(['audit', '--share', '10%', '--confidence', '0.9']);
  expect(said(run)).toMatch(/^5: 22 challenges a provider: .* 10 % .* 90 %/);
  expect(said(run)).toMatch(/^p4 +FAILED /m);
  expect(said(run)).toContain('holdfast repair-run');
  expect((await cli.run(['audit', '--provider', 'p9'])).code).toBe(3);
  for (const share of ['0', '100%', 'much']) {
    expect(said(await cli.run(['audit', '--share', share]))).toMatch(/^2: /);
  }
});
