import { join } from 'node:path';
import { Level } from 'level';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CliVault, providersToml, said } from '../helpers/cli.ts';
import { noise, readAll } from '../helpers/vault.ts';

const SETTINGS = `[placement]\nmin_tolerates = 1\n[limits]\nmax_workers = 1\n${providersToml(3)}`;
const NAMES = ['a', 'b', 'c', 'd'];
const bytesOf = (name: string): Uint8Array => noise(300, name.charCodeAt(0));

let cli: CliVault;
beforeAll(async () => {
  cli = await CliVault.create(SETTINGS);
});
afterAll(() => cli.remove());

type Damage = (record: Uint8Array) => Uint8Array;
/** As a disk leaves it that rots. */
const flipped: Damage = (record) => record.map((byte, at) => (at === record.length - 1 ? byte ^ 1 : byte));

/** Damages records of a table in the database of the home. @returns how many. */
async function damage(table: string, most: number, how: Damage): Promise<number> {
  const options = { keyEncoding: 'view', valueEncoding: 'view', compression: false } as const;
  const raw = new Level<Uint8Array, Uint8Array>(join(cli.home, 'engine'), options);
  let done = 0;
  const range = { gte: Buffer.from(`${table}:`), lt: Buffer.from(`${table};`) };
  for await (const [key, record] of raw.iterator(range)) {
    if (done++ < most) await raw.put(key, how(Uint8Array.from(record)));
  }
  // What this vault has none of, somebody else may have written there.
  if (done === 0) await raw.put(Buffer.from(`${table}:p1`), noise(30));
  await raw.close();
  return Math.min(done, most);
}

async function listed(): Promise<{ readonly names: string[]; readonly damaged: number }> {
  const vault = await cli.open();
  const names: string[] = [];
  let damaged = 0;
  for await (const { name } of vault.listObjects({ onDamaged: () => damaged++ })) names.push(name);
  await vault.close();
  return { names, damaged };
}

async function readAllNames(): Promise<string[]> {
  const vault = await cli.open();
  const right: string[] = [];
  for (const name of NAMES) {
    const read = async (): Promise<Uint8Array> => readAll(await vault.getObject(name));
    const got = await read().catch(() => undefined);
    if (got !== undefined && Buffer.compare(got, bytesOf(name)) === 0) right.push(name);
  }
  await vault.close();
  return right;
}

describe('a damaged record of the state stops no read and no listing', () => {
  beforeAll(async () => {
    const vault = await cli.open();
    for (const name of NAMES) await vault.putObject(bytesOf(name), { name });
    await vault.close();
  });

  it.each([
    'manifests',
    'manifest_times',
    'manifest_usage',
    'name_index',
    'provider_profiles',
    'provider_usage',
    'provider_last_failure',
    'upkeep',
    'slots_due',
    'trash',
  ])('all of %s', async (table) => {
    await damage(table, 1000, flipped);
    expect(await listed()).toEqual({ names: NAMES, damaged: 0 });
    expect(await readAllNames()).toEqual(NAMES);
    const manifests = await cli.run(['manifests', '--json']);
    expect(manifests.code, said(manifests)).toBe(0);
    const verify = await cli.run(['verify', '--all']);
    expect(verify.code, said(verify)).toBe(0);
  });

  it('one record of names: it is told of, the others are listed, read and verified, and recover brings it back', async () => {
    expect(await damage('names', 1, flipped)).toBe(1);
    // What the index says of it is still right.
    expect((await listed()).names).toEqual(NAMES);
    expect(await readAllNames()).toHaveLength(3);
    await damage('name_index', 1000, flipped);
    const { names, damaged } = await listed();
    expect(names).toHaveLength(3);
    expect(damaged).toBe(1);
    expect(await listed()).toEqual({ names, damaged });
    for (const command of [['ls'], ['du'], ['verify', '--all']]) {
      const done = await cli.run(command);
      expect(done.code, said(done)).toBe(5);
      expect(done.stderr).toMatch(/1 name cannot be read.*holdfast recover/);
    }
    const recovered = await cli.run(['recover']);
    expect(recovered.code, said(recovered)).toBe(0);
    expect(await listed()).toEqual({ names: NAMES, damaged: 0 });
    expect(await readAllNames()).toEqual(NAMES);
  });
});
