import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import { CliVault, providersToml, said } from '../helpers/cli.ts';
import { blobsIn } from '../helpers/files.ts';
import { noise } from '../helpers/vault.ts';
import { blake3 } from '../providers/deps.ts';

let cli: CliVault;
beforeAll(async () => {
  cli = await CliVault.create(providersToml(4));
  expect(said(await cli.run(['put', '-', '--name', 'x'], { input: noise(90_000) }))).toContain('survives');
});
afterAll(() => cli.remove());

/** A blob in a provider's folder that no record leads to. */
async function leaveStray(seed: number, ageMs: number): Promise<void> {
  const bytes = noise(70, seed);
  const digits = addressOf(blake3.hash(bytes)).slice(3);
  const folder = join(cli.providerRoot('p1'), 'blobs', digits.slice(0, 2));
  await mkdir(folder, { recursive: true });
  const file = join(folder, digits.slice(2));
  await writeFile(file, bytes);
  const written = (Date.now() - ageMs) / 1000;
  await utimes(file, written, written);
}

const blobs = async (): Promise<number> => (await blobsIn(cli.providerRoot('p1'))).length;

it('gc deletes what nothing leads to once it is old, says so first if asked, and leaves objects as they are', async () => {
  const before = await blobs();
  await leaveStray(1, 25 * 3_600_000);
  await leaveStray(2, 60_000);
  const dry = await cli.run(['gc', '--dry-run', '--json']);
  expect(dry.code).toBe(0);
  const [p1] = JSON.parse(dry.stdout.toString()).providers;
  expect(p1).toMatchObject({ provider: 'p1', orphans: 1, young: 1, deleted: 0, bytes: 70 });
  expect(await blobs()).toBe(before + 2);
  const run = await cli.run(['gc']);
  expect(said(run)).toMatch(/^0: provider .*orphans/);
  expect(await blobs()).toBe(before + 1);
  expect(said(await cli.run(['gc', '--min-age', '0']))).toMatch(/^p1 .* 1 /m);
  expect(await blobs()).toBe(before);
  expect((await cli.run(['verify', 'x', '--deep'])).code).toBe(0);
});

it('gc refuses an age that is none', async () => {
  expect(said(await cli.run(['gc', '--min-age', 'yesterday']))).toMatch(/^2: /);
});
