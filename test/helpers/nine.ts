import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { createVault, type Vault } from '../../src/index.ts';
import { providersToml } from './cli.ts';
import { blobsIn } from './files.ts';
import { noise } from './vault.ts';

/** Ten chunks, of the size below: what is tested is the same for large ones. */
export const BIG = noise(600_000, 1);
export const SMALL = noise(3_000, 2);

const CHUNKS = '[chunks]\nladder = ["64 KiB", "128 KiB"]\ndefault_bytes = "64 KiB"\n';

export interface Nine {
  readonly home: string;
  readonly vault: Vault;
}

/** A vault of nine folders with an object of several chunks and one that is kept as copies. */
export async function nine(): Promise<Nine> {
  const home = await mkdtemp(join(tmpdir(), 'holdfast-repair-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  await writeFile(join(home, 'storage.toml'), `${CHUNKS}${providersToml(9)}`);
  const vault = await createVault({ home, unwrapped: true, env: {} });
  onTestFinished(() => vault.close());
  await vault.putObject(BIG, { name: 'big' });
  await vault.putObject(SMALL, { name: 'small' });
  return { home, vault };
}

export const blobsOf = ({ home }: Nine, id: string): Promise<string[]> =>
  blobsIn(join(home, 'providers', id));

export async function read(vault: Vault, name: string): Promise<Uint8Array> {
  const reader = await vault.getObject(name);
  return new Uint8Array(await new Response(reader.stream()).arrayBuffer());
}

/** Both objects are as they were put, and all of each is where it ought to be. */
export async function expectIntact(vault: Vault): Promise<void> {
  for (const [name, bytes] of [
    ['big', BIG],
    ['small', SMALL],
  ] as const) {
    expect(await vault.verifyObject(name, { deep: true })).toMatchObject({ intact: true, damage: [] });
    expect(Buffer.compare(await read(vault, name), bytes)).toBe(0);
  }
}
