import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openVault } from '../../src/index.ts';
import { backOff } from '../../src/records/repair-backoff.ts';
import { internalsOf } from '../../src/vault/opened-vault.ts';
import { CliVault, said } from '../helpers/cli.ts';
import { blobsIn, flipBit } from '../helpers/files.ts';
import { metricIn } from '../helpers/metrics.ts';
import { startService } from '../helpers/services.ts';
import { noise } from '../helpers/vault.ts';

/** A vault of nine folders with an object that survives the loss of any three. */
async function nine(): Promise<CliVault> {
  const vault = await CliVault.create();
  onTestFinished(() => vault.remove());
  expect((await vault.run(['put', '-', '--name', 'x'], { input: noise(500_000) })).code).toBe(0);
  return vault;
}

async function statusOf(vault: CliVault) {
  const { code, stdout } = await vault.run(['status', '--json']);
  return { code, ...JSON.parse(stdout.toString()) };
}

it('status tells what the objects survive, and by its exit code whether all is well', async () => {
  const vault = await nine();
  const file = join(vault.home, 'metrics.prom');
  const well = await vault.run(['status', '--metrics-file', file]);
  expect(well.code, said(well)).toBe(0);
  expect(well.stdout.toString()).toMatch(/^stored +1 segment: survive the loss of any 3 more$/m);
  expect(well.stdout.toString()).toMatch(/^scrub +never$/m);
  const metrics = await readFile(file, 'utf8');
  expect([metricIn(metrics, 'rf_target'), metricIn(metrics, 'rf_observed')]).toEqual([1, 3]);

  await vault.run(['providers lost', 'p3', 'on']);
  const due = await vault.run(['status']);
  expect(due.code, said(due)).toBe(4);
  expect(due.stdout.toString()).toMatch(/^stored +1 segment: survive the loss of any 2 more$/m);
  expect(due.stdout.toString()).toMatch(/^lost +p3: declared lost$/m);
  expect(due.stdout.toString()).toMatch(/^repair due +1 segment with shards at lost providers$/m);

  // Repaired, it is as well as eight can keep it, and that is less than nine did.
  expect((await vault.run(['repair-run'])).code).toBe(0);
  expect(await statusOf(vault)).toMatchObject({
    code: 4,
    survival: { segments: [{ tolerates: 2, count: 1 }], least: 2, due: 0, short: 1 },
  });
  for (const id of ['p1', 'p2', 'p4', 'p5']) await vault.run(['providers lost', id, 'on']);
  const lost = await vault.run(['status']);
  expect(lost.code, said(lost)).toBe(5);
  expect(lost.stdout.toString()).toMatch(/^stored +1 segment: LOST/m);
}, 60_000);

it('status tells of chunks whose repair is put off', async () => {
  const cli = await nine();
  const vault = await openVault({ home: cli.home, env: {} });
  const { manifest } = await vault.statObject('x');
  await backOff(internalsOf(vault).context, manifest, 0, 'nobody answered');
  await vault.close();
  const waits = await cli.run(['status']);
  expect(waits.code, said(waits)).toBe(4);
  expect(waits.stdout.toString()).toMatch(/^put off +1 chunk that could not be repaired, again from 20/m);
});

it('status tells what was found damaged, until it is mended, and when', async () => {
  const vault = await nine();
  await flipBit((await blobsIn(vault.providerRoot('p4')))[0]!, 99);
  expect((await vault.run(['scrub'])).code).toBe(5);
  const found = await vault.run(['status']);
  expect(found.code, said(found)).toBe(5);
  expect(found.stdout.toString()).toMatch(
    /^damage +0 blobs missing and 1 corrupt of 1 segment, the first found 20\d\d-/m,
  );
  expect(found.stdout.toString()).toMatch(/^scrub +last 20.*; 1 of 1 part read since 20/m);
  expect((await vault.run(['repair-run'])).code).toBe(0);
  expect(await statusOf(vault)).toMatchObject({
    damage: { segments: 0, missing: 0, corrupt: 0 },
    survival: { due: 0 },
    scrub: { of: 1, done: 1, lastMs: expect.any(Number) },
  });
}, 60_000);

it('scrub and audit show what they found as metrics', async () => {
  const vault = await nine();
  const file = join(vault.home, 'metrics.prom');
  const measured = async (command: string, name: string): Promise<(number | undefined)[]> => {
    expect((await vault.run([command, '--metrics-file', file])).code).toBe(0);
    const text = await readFile(file, 'utf8');
    const results = ['right', 'missing', 'corrupt', 'unanswered'];
    return results.map((result) => metricIn(text, `${name}{result="${result}"}`));
  };
  expect(await measured('scrub', 'storage_scrub_blobs_total')).toEqual([9, 0, 0, 0]);
  const [right, ...wrong] = await measured('audit', 'storage_audit_challenges_total');
  expect(right).toBeGreaterThan(0);
  expect(wrong).toEqual([0, 0, 0]);
}, 60_000);

it('a daemon shows how many losses the weakest segment survives', async () => {
  const vault = await nine();
  await vault.run(['providers lost', 'p3', 'on']);
  const service = await startService(['daemon', '--sealed', ...vault.flags]);
  await expect.poll(() => service.metric('rf_observed'), { timeout: 30_000 }).toBe(2);
  expect(await service.metric('rf_target')).toBe(1);
  expect(await service.stop()).toBe(0);
}, 60_000);
