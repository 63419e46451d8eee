import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CliVault, providersToml, said } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';

const BYTES = noise(300_000, 4);
let cli: CliVault;
beforeAll(async () => {
  cli = await CliVault.create(providersToml(9));
  for (const [name, input] of [
    ['x', BYTES],
    ['small', noise(9)],
  ] as const)
    expect(said(await cli.run(['put', '-', '--name', name], { input }))).toContain('survives');
});
afterAll(() => cli.remove());

const config = () => join(cli.home, 'storage.toml');
async function without<T>(ids: readonly string[], work: () => Promise<T>): Promise<T> {
  const all = await readFile(config(), 'utf8');
  const blocks = all.split('\n\n').filter((block) => !ids.some((id) => block.includes(`"${id}"`)));
  await writeFile(config(), blocks.join('\n\n'));
  try {
    return await work();
  } finally {
    await writeFile(config(), all);
  }
}

async function blobFilesOf(id: string): Promise<string[]> {
  const entries = await readdir(cli.providerRoot(id), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.parentPath.includes('blobs'))
    .map((entry) => join(entry.parentPath, entry.name));
}

describe('stat', () => {
  it('shows what an object survives after providers have left, beside what it was put with', async () => {
    const before = await cli.run(['stat', 'x']);
    expect(before.stdout.toString()).not.toMatch(/^now/m);
    await without(['p2', 'p3'], async () => {
      const text = (await cli.run(['stat', 'x'])).stdout.toString();
      expect(text).toMatch(/^certificate +survives the loss of any 3 of 9/m);
      expect(text).toMatch(/^now +survives the loss of any 1 of 7 .*not counting p2, p3/m);
      const { live, certificate } = JSON.parse((await cli.run(['stat', 'x', '--json'])).stdout.toString());
      expect(certificate.tolerates).toBe(3);
      expect(live).toMatchObject({ certificate: { tolerates: 1, providers: 7 }, without: ['p2', 'p3'] });
      // What is computed is what reading everything finds.
      const verified = JSON.parse((await cli.run(['verify', 'x', '--json'])).stdout.toString());
      expect(live.certificate).toEqual(verified.certificate.live);
    });
  });

  it('says when not enough is left', async () => {
    await without(['p1', 'p2', 'p3', 'p4', 'p5', 'p6'], async () => {
      const text = (await cli.run(['stat', 'x'])).stdout.toString();
      expect(text).toMatch(/^now +cannot be read/m);
    });
  });
});

describe('verify', () => {
  it('exits 4 where shards are missing, and 5 as soon as one is wrong', async () => {
    expect((await cli.run(['verify', 'x'])).code).toBe(0);
    await without(['p2'], async () => expect((await cli.run(['verify', 'x'])).code).toBe(4));
    for (const file of await blobFilesOf('p5')) await rm(file);
    const missing = await cli.run(['verify', 'x']);
    expect(missing.code, said(missing)).toBe(4);
    for (const file of await blobFilesOf('p6')) {
      const bytes = await readFile(file);
      bytes[100]! ^= 1;
      await writeFile(file, bytes);
    }
    const wrong = await cli.run(['verify', 'x', '--json']);
    expect(wrong.code, said(wrong)).toBe(5);
    expect(JSON.parse(wrong.stdout.toString())).toMatchObject({
      intact: false,
      readable: true,
      corrupt: true,
    });
  });
});
