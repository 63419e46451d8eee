import { expect, it } from 'vitest';
import { createMemoryEngine, type Engine } from '../../src/engine/index.ts';
import { TABLE_NAMES } from '../../src/engine/tables.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { generationOf } from '../../src/records/generation.ts';
import { INCOMPLETE } from '../../src/records/generation-record.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { scrubProviders } from '../../src/upkeep/gc.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { noise, readAll, type TestVault, testVault } from '../helpers/vault.ts';

async function copyOf(engine: Engine): Promise<Engine> {
  const copy = createMemoryEngine();
  for (const name of TABLE_NAMES) {
    for await (const [key, value] of engine.table(name).entries()) await copy.table(name).put(key, value);
  }
  return copy;
}

/** The state as it is now, as a backup of it would be opened later. */
const backedUp = async (context: VaultContext): Promise<VaultContext> => ({
  ...context,
  engine: await copyOf(context.engine),
});

const standing = async (context: VaultContext): Promise<string> =>
  (await generationOf(context).standing()).state;

const contentOf = async (context: VaultContext, name: string): Promise<Buffer> =>
  Buffer.from(await readAll(await getObject(context, name)));

const put = (context: VaultContext, seed: number, name?: string) =>
  putObject(context, noise(3000, seed), { name });

it('a new vault is confirmed, and stays so as it is written to', async () => {
  const { context } = await testVault();
  expect(await standing(context)).toBe('confirmed');
  await put(context, 1, 'x');
  await put(context, 2);
  await deleteObject(context, 'x');
  expect(await standing(await backedUp(context))).toBe('confirmed');
});

it.each([
  ['a put', (context: VaultContext) => put(context, 2, 'y')],
  ['a put without a name', (context: VaultContext) => put(context, 2)],
  ['a removal', (context: VaultContext) => deleteObject(context, 'x')],
])('a backup of the state that is older than %s is behind', async (_, change) => {
  const { context } = await testVault();
  await put(context, 1, 'x');
  const backup = await backedUp(context);
  await change(context);
  expect(await standing(backup)).toBe('behind');
  expect(await standing({ ...context, engine: createMemoryEngine() })).toBe('behind');
});

it('a state that is behind does not catch up by being written to, only by recovering', async () => {
  const { context } = await testVault();
  await put(context, 1, 'x');
  const backup = await backedUp(context);
  for (const seed of [2, 3]) await put(context, seed, 'y');
  for (const seed of [4, 5, 6]) await put(backup, seed, 'z');
  const later = await backedUp(backup);
  expect(await standing(later)).toBe('behind');
  await recoverVault(later);
  expect(await standing(await backedUp(later))).toBe('confirmed');
  expect(await standing(await backedUp(context))).toBe('behind');
});

it('nor does one that was written to while too few providers answered', async () => {
  const vault = await testVault({ providers: 9 });
  const { context } = vault;
  await put(context, 1, 'x');
  const backup = await backedUp(context);
  await put(context, 2, 'y');
  const silent = unreadable(backup);
  expect(await standing(silent)).toBe('unconfirmed');
  for (const seed of [3, 4]) await put(silent, seed, 'z');
  expect(await standing(await backedUp({ ...silent, directory: context.directory }))).toBe('behind');
});

/** A context that finds all slots out of reach. */
function unreadable(context: VaultContext): VaultContext {
  const providers = context.directory.all().map((provider) => ({
    ...provider,
    adapter: new Proxy(provider.adapter, {
      get: (adapter, key) => {
        if (key === 'readSlot') return async () => Promise.reject(new Error('it does not answer'));
        const member: unknown = Reflect.get(adapter, key);
        return typeof member === 'function' ? member.bind(adapter) : member;
      },
    }),
  }));
  const directory = {
    ...context.directory,
    all: () => providers,
    get: (id: string) => providers.find((provider) => provider.id === id),
  };
  return { ...context, directory };
}

/** A context that finds the slots of these out of reach. */
function withoutSlots(context: VaultContext, which: (at: number) => boolean): VaultContext {
  const broken = unreadable(context).directory.all();
  const providers = context.directory.all().map((provider, at) => (which(at) ? broken[at]! : provider));
  const get = (id: string) => providers.find((provider) => provider.id === id);
  return { ...context, directory: { ...context.directory, all: () => providers, get } };
}

it('of two homes with one key the one that recovered last is confirmed, and the other keeps what it replaces', async () => {
  const { context } = await testVault();
  await put(context, 1, 'x');
  const other = { ...context, engine: createMemoryEngine() };
  await recoverVault(other);
  expect(await standing(other)).toBe('confirmed');
  const { stateBehind } = await put(await backedUp(context), 2, 'x');
  expect(stateBehind).toBe(true);
  expect((await contentOf(other, 'x')).equals(noise(3000, 1))).toBe(true);
});

it('a minority of providers that are gone leaves a state confirmed, a majority does not', async () => {
  const { context, gone }: TestVault = await testVault({ providers: 5 });
  await put(context, 1, 'x');
  const some = (n: number): VaultContext => withoutSlots(context, (at) => at < n);
  expect(gone.size).toBe(0);
  expect(await standing(await backedUp(some(2)))).toBe('confirmed');
  expect(await standing(await backedUp(some(3)))).toBe('unconfirmed');
});

it.each([0, 1, 2, 3, 4])('a recovery knows of a change of which only provider %i was told', async (told) => {
  const { context } = await testVault({ providers: 5 });
  await put(context, 1, 'x');
  await put(
    withoutSlots(await backedUp(context), (at) => at !== told),
    2,
    'y',
  );
  const other = { ...context, engine: createMemoryEngine() };
  await recoverVault(other);
  const away = [0, 1, 2, 3, 4].filter((at) => at !== told).slice(0, 2);
  expect(await standing(withoutSlots(await backedUp(other), (at) => away.includes(at)))).toBe('confirmed');
});

it('a state that lacks writes which others follow is behind, however far its counter is, until it was recovered', async () => {
  const { context } = await testVault();
  await put(context, 1, 'x');
  await put(context, 2, 'y');
  const { engine } = context;
  // As a gap in the log leaves it: the record of what was put is gone, the counter of what came later is there.
  for (const table of ['names', 'name_index', 'manifests']) {
    for await (const [key] of engine.table(table).entries()) await engine.table(table).delete(key);
  }
  await engine.batch([INCOMPLETE]);
  expect(await standing(context)).toBe('behind');
  await put(context, 3, 'z');
  expect(await standing(context)).toBe('behind');
  await scrubProviders(context, { minAgeMs: 0 });
  await recoverVault(context);
  expect(await standing(context)).toBe('confirmed');
  for (const [name, seed] of [['x', 1] as const, ['y', 2] as const, ['z', 3] as const])
    expect(await contentOf(context, name)).toEqual(Buffer.from(noise(3000, seed)));
});
