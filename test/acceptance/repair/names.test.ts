import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { createLevelEngine } from '../../../src/engine/index.ts';
import { createVault, openVault, type Vault } from '../../../src/index.ts';
import { internalsOf } from '../../../src/vault/opened-vault.ts';
import { filesBelow, vanish } from '../../helpers/files.ts';
import { noise } from '../../helpers/vault.ts';

const NAMES = Array.from({ length: 12 }, (_, i) => `name ${i}`);

const provider = (id: string): string =>
  `[[providers]]\nid = "${id}"\nadapter = "fs"\nroot = "providers/${id}"\n`;
const idsFrom = (first: number, last: number): string[] =>
  Array.from({ length: last - first + 1 }, (_, i) => `p${first + i}`);

interface World {
  readonly home: string;
  readonly vault: Vault;
  readonly at: (id: string) => string;
}

/** @param spare the last so many providers hold nothing yet. */
async function world(providers: number, spare: number): Promise<World> {
  const home = await mkdtemp(join(tmpdir(), 'holdfast-names-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  await configure(home, idsFrom(1, providers));
  const vault = await createVault({ home, unwrapped: true, env: {} });
  onTestFinished(() => vault.close());
  const spares = idsFrom(providers - spare + 1, providers);
  for (const id of spares) await vault.providers.setMaintenance(id, true);
  for (const [i, name] of NAMES.entries()) await vault.putObject(noise(2_000, i), { name });
  for (const id of spares) await vault.providers.setMaintenance(id, false);
  return { home, vault, at: (id) => join(home, 'providers', id) };
}

const configure = (home: string, ids: readonly string[]): Promise<void> =>
  writeFile(join(home, 'storage.toml'), ids.map(provider).join('\n'));

async function open(home: string, sealed = false): Promise<Vault> {
  const vault = await openVault({ home, sealed, env: {} });
  onTestFinished(() => vault.close());
  return vault;
}

/** Names of which a provider holds a copy. */
async function namesAt(vault: Vault, id: string): Promise<string[]> {
  const { keys, directory } = internalsOf(vault).context;
  const { adapter } = directory.get(id)!;
  const held = await Promise.all(NAMES.map((name) => adapter.readSlot(keys.slotName(name))));
  return NAMES.filter((_, i) => held[i] !== undefined);
}

async function listed(vault: Vault): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of vault.listObjects()) names.push(name);
  return names.sort();
}

it.each(['with the key', 'without the key'])(
  'names outlive the loss of every provider they were put at, one after the other, with repairs %s in between',
  async (which) => {
    const { home, vault, at } = await world(14, 5);
    await vault.close();
    const worker = await open(home, which === 'without the key');
    for (const id of idsFrom(1, 9)) {
      await vanish(at(id));
      await worker.providers.setLost(id, true);
      const { names: before } = await worker.status();
      const { nameCopies, namesShort } = await worker.repair();
      expect(before.due > 0).toBe(nameCopies > 0);
      expect(namesShort).toBe(0);
      expect((await worker.status()).names).toMatchObject({ due: 0, short: 0, unknown: 0 });
    }
    await worker.close();
    await rm(join(home, 'engine'), { recursive: true });
    await configure(home, idsFrom(10, 14));
    const again = await open(home);
    expect(await again.recover()).toMatchObject({ names: NAMES.length });
    expect(await listed(again)).toEqual([...NAMES].sort());
  },
  120_000,
);

it('names leave a provider that is evacuated, and are deleted there by who has the key', async () => {
  const { home, vault } = await world(10, 1);
  const there = await namesAt(vault, 'p3');
  expect(there.length).toBeGreaterThan(0);
  await vault.close();
  const worker = await open(home, true);
  const done = await worker.evacuate('p3');
  expect(done).toMatchObject({ left: { segments: 0, objects: 0, names: 0, why: [] } });
  expect(done.nameCopies).toBeGreaterThan(0);
  expect((await worker.status()).names).toMatchObject({ due: 0, short: 0, leaving: there.length });
  await worker.close();
  const again = await open(home);
  expect(await namesAt(again, 'p3')).toEqual(there);
  await again.gc();
  expect(await namesAt(again, 'p3')).toEqual([]);
  expect((await again.status()).names).toEqual({ due: 0, short: 0, leaving: 0, unknown: 0, more: false });
  for (const name of NAMES) {
    const { nameCopies, certificate } = await again.statObject(name);
    expect(nameCopies!.tolerates).toBeGreaterThanOrEqual(certificate.tolerates);
    expect(nameCopies!.providers).not.toContain('p3');
  }
});

it('a copy that is put to a provider after it was left there is not deleted', async () => {
  const { home, vault } = await world(10, 1);
  const [name] = await namesAt(vault, 'p3');
  await vault.close();
  const worker = await open(home, true);
  await worker.evacuate('p3');
  await worker.providers.setMaintenance('p3', false);
  await worker.close();
  const again = await open(home);
  await again.putObject(noise(2_000, 99), { name: name! });
  const { nameCopies: before } = await again.statObject(name!);
  await again.gc();
  const { nameCopies, certificate } = await again.statObject(name!);
  expect(nameCopies!.providers).toEqual(before!.providers);
  expect(nameCopies!.tolerates).toBeGreaterThanOrEqual(certificate.tolerates);
});

it('without the key no name is copied that no provider holds as this state knows it', async () => {
  const { home, vault, at } = await world(10, 1);
  const [name] = NAMES;
  const slot = internalsOf(vault).context.keys.slotName(name!);
  const { providers } = (await vault.statObject(name!)).nameCopies!;
  await vault.close();
  for (const id of idsFrom(1, 10)) {
    for (const file of await filesBelow(join(at(id), 'slots'))) if (file.includes(slot)) await rm(file);
  }
  const worker = await open(home, true);
  await worker.providers.setLost(providers[0]!, true);
  expect(await worker.repair()).toMatchObject({ namesShort: 1 });
  await worker.close();
  for (const id of idsFrom(1, 10))
    expect((await filesBelow(join(at(id), 'slots'))).filter((file) => file.includes(slot))).toEqual([]);
  // Who has it knows whether the state is the latest, and copies it.
  const again = await open(home);
  await again.gc();
  expect((await again.statObject(name!)).nameCopies!.tolerates).toBeGreaterThanOrEqual(1);
});

it('of a vault that an earlier version wrote it is found out first where the copies of names are', async () => {
  const { home, vault } = await world(10, 1);
  await vault.close();
  // While the vault is open, it notes them.
  const engine = createLevelEngine({
    location: join(home, 'engine'),
    clock: systemClock,
    lockWaitMs: 60_000,
    idleReleaseMs: 0,
  });
  for (const table of ['name_places', 'name_class']) {
    for await (const [key] of engine.table(table).entries()) await engine.table(table).delete(key);
  }
  await engine.table('upkeep').delete('names');
  await engine.close();
  const worker = await open(home, true);
  expect((await worker.status()).names).toMatchObject({ unknown: NAMES.length });
  const { left } = await worker.evacuate('p3');
  expect(left).toMatchObject({ segments: 0, names: NAMES.length });
  await worker.close();
  const again = await open(home);
  await again.gc();
  expect((await again.status()).names).toMatchObject({ unknown: 0, short: 0 });
  expect((await again.evacuate('p3')).left).toMatchObject({ names: 0, why: [] });
});
