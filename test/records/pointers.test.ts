import { expect, it } from 'vitest';
import { createMemoryEngine } from '../../src/engine/index.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { backUpPointer, renewSlots } from '../../src/records/name-backup.ts';
import { pointName, readName } from '../../src/records/names.ts';
import { readSlotContent } from '../../src/records/slots.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { noise, type TestVault, testVault } from '../helpers/vault.ts';

const target = { manifest: undefined, size: 0, createdMs: 1 };

/** The versions that the providers' slots hold, in the order of the providers. */
async function versions({ context, providers }: TestVault, name: string): Promise<(number | undefined)[]> {
  const slot = context.keys.slotName(name);
  return Promise.all(
    providers.map(async ({ adapter }) => {
      const content = await adapter.readSlot(slot);
      return content && readSlotContent(context, content.bytes)?.pointer.version;
    }),
  );
}

/** The same vault on a machine that has lost its state. */
const withoutState = (context: VaultContext): VaultContext => ({ ...context, engine: createMemoryEngine() });

it('a late writer does not put an older pointer in place of a newer one', async () => {
  const vault = await testVault({ providers: 3 });
  const { context, providers } = vault;
  const first = await pointName(context, 'x', target);
  const second = await pointName(context, 'x', target);
  expect(await backUpPointer(context, second, providers, 3)).toMatchObject({ copies: 3, forks: [] });
  expect(await backUpPointer(context, first, providers, 3)).toMatchObject({ copies: 3, forks: [] });
  expect(await versions(vault, 'x')).toEqual([2, 2, 2]);
});

it('an engine that has forgotten a name does not start below what the providers have', async () => {
  const vault = await testVault({ providers: 3 });
  const { context } = vault;
  for (const seed of [1, 2, 3]) await putObject(context, noise(10_000, seed), { name: 'x' });
  const fresh = withoutState(context);
  const put = await putObject(fresh, noise(10_000, 4), { name: 'x' });
  expect((await readName(fresh, 'x'))!.version).toBe(4);
  expect(Math.max(...(await versions(vault, 'x')).map((version) => version ?? 0))).toBe(4);
  const another = withoutState(context);
  await recoverVault(another);
  expect((await readName(another, 'x'))!.manifest).toBe(put.manifest);
});

it('recovery takes the highest version that any provider has, and none below what is known', async () => {
  const vault = await testVault({ providers: 3 });
  const { context, providers } = vault;
  const first = await pointName(context, 'x', target);
  const second = await pointName(context, 'x', target);
  await backUpPointer(context, first, providers.slice(0, 1), 1);
  await backUpPointer(context, second, providers.slice(1, 2), 1);
  await backUpPointer(context, first, providers.slice(2), 1);
  // `x` stands for nothing in either; the version tells them apart.
  const fresh = withoutState(context);
  await recoverVault(fresh);
  expect((await readName(fresh, 'x'))!.version).toBe(2);
  const third = await pointName(context, 'x', target);
  await recoverVault(context);
  expect((await readName(context, 'x'))!.version).toBe(third.pointer.version);
});

it('who is known not to answer is told of a name later, and waited for only if there is nobody else', async () => {
  const { context: plain, providers } = await testVault({ providers: 3 });
  const silent = new Set(['p2']);
  const asked: string[] = [];
  const spied = providers.map((provider) => ({
    ...provider,
    adapter: {
      ...provider.adapter,
      readSlot: (...args: Parameters<typeof provider.adapter.readSlot>) => {
        asked.push(provider.id);
        return provider.adapter.readSlot(...args);
      },
    },
  }));
  const isResponsive = (id: string): boolean => !silent.has(id);
  const context = { ...plain, directory: { ...plain.directory, isResponsive } };
  const first = await pointName(context, 'x', target);
  expect(await backUpPointer(context, first, spied, 3)).toMatchObject({ copies: 2, unconfirmed: ['p2'] });
  expect(asked.toSorted()).toEqual(['p1', 'p3']);
  for (const { id } of providers) silent.add(id);
  const second = await pointName(context, 'x', target);
  expect(await backUpPointer(context, second, spied, 3)).toMatchObject({ copies: 3, unconfirmed: [] });
});

it('who was away when a version was replaced is told once it is back, and brings the old one back to nobody', async () => {
  const vault = await testVault({ providers: 5 });
  const { context, providers } = vault;
  await putObject(context, noise(1000, 1), { name: 'x' });
  const holder = (await versions(vault, 'x')).indexOf(1);
  const away = providers[holder]!.id;
  const without = {
    ...context.directory,
    isResponsive: (id: string) => id !== away,
    forStore: () => ({ eligible: providers.filter(({ id }) => id !== away), leftOut: [] }),
  };
  const { manifest } = await putObject({ ...context, directory: without }, noise(1000, 2), { name: 'x' });
  expect((await versions(vault, 'x'))[holder]).toBe(1);
  await renewSlots(context);
  for (const { id } of providers) if (id !== away) vault.gone.add(id);
  const fresh = withoutState(context);
  await recoverVault(fresh);
  expect(await readName(fresh, 'x')).toMatchObject({ version: 2, manifest });
});

it('copies of a name lie in as many failure domains as there are', async () => {
  const { context, providers } = await testVault({ providers: 6, policy: { failureDomain: 'account' } });
  const accounts = providers.map((provider, i) => {
    const account = i < 4 ? 'large' : `small ${i}`;
    return { ...provider, domain: { provider: 'one operator', account, region: 'test' } };
  });
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
    await backUpPointer(context, await pointName(context, name, target), accounts, 3);
    const held = await versions({ context, providers, gone: new Set() }, name);
    expect(held.filter((version) => version !== undefined)).toHaveLength(3);
    expect(held.slice(4)).toEqual([1, 1]);
  }
});
