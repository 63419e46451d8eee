import { expect, it } from 'vitest';
import { createMemoryEngine } from '../../src/engine/index.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { renewSlots } from '../../src/records/name-backup.ts';
import { dropTombstones } from '../../src/records/tombstones.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { noise, readAll, type TestVault, type TestVaultOptions, testVault } from '../helpers/vault.ts';

const DAY = 86_400_000;
const WEEK = 7 * DAY;
const later = (context: VaultContext, days: number): VaultContext => ({
  ...context,
  clock: { ...context.clock, now: () => Date.now() + days * DAY },
});

const NAMES = 40;

/** Names put and removed, and one that stays. */
async function removed(wrap: TestVaultOptions['wrap'] = (adapter) => adapter): Promise<TestVault> {
  const vault = await testVault({ providers: 4, wrap });
  for (let i = 0; i < NAMES; i++) await putObject(vault.context, noise(100, i + 1), { name: `n${i}` });
  await putObject(vault.context, noise(100), { name: 'stays' });
  for (let i = 0; i < NAMES; i++) await deleteObject(vault.context, `n${i}`);
  return vault;
}

async function keysIn({ engine }: VaultContext, table: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const [key] of engine.table(table).entries()) keys.push(key);
  return keys;
}

async function slots({ providers }: TestVault): Promise<number> {
  let count = 0;
  for (const { adapter } of providers) for await (const _ of adapter.listSlots()) count++;
  return count;
}

it('names that were put and removed leave nothing once the removal is a week old', async () => {
  const vault = await removed();
  const { context } = vault;
  expect(await slots(vault)).toBeGreaterThan(4 * NAMES);
  // What cannot be read stands in nobody's way.
  await context.engine.table('names').put('0'.repeat(64), noise(99));
  expect(await dropTombstones(later(context, 6), WEEK)).toEqual({ dropped: 0, kept: 0 });
  expect(await dropTombstones(later(context, 8), WEEK)).toEqual({ dropped: NAMES, kept: 0 });
  // One name's slots, and what tells how far the state is.
  expect(await slots(vault)).toBeLessThanOrEqual(8);
  expect(await keysIn(context, 'names')).toHaveLength(2);
  expect(await keysIn(context, 'slots_due')).toEqual([]);
  const fresh = { ...context, engine: createMemoryEngine() };
  expect(await recoverVault(fresh)).toMatchObject({ names: 1, deleted: 0 });
  // A name can be put again.
  await putObject(context, noise(300), { name: 'n3' });
  expect(Buffer.compare(await readAll(await getObject(context, 'n3')), noise(300))).toBe(0);
});

it('a removal stays while one provider does not answer, or holds something else', async () => {
  const vault = await removed();
  const directory = { ...vault.context.directory, isResponsive: (id: string) => id !== 'p4' };
  expect(await dropTombstones(later({ ...vault.context, directory }, 8), WEEK)).toEqual({
    dropped: 0,
    kept: NAMES,
  });
  const { adapter } = vault.providers[0]!;
  const slot = vault.context.keys.slotName('n5');
  await adapter.writeSlot(slot, noise(99), (await adapter.readSlot(slot))?.version);
  expect(await dropTombstones(later(vault.context, 8), WEEK)).toEqual({ dropped: NAMES - 1, kept: 1 });
  expect((await adapter.readSlot(slot))?.bytes).toEqual(noise(99));
});

it('a removal that was cut off in between is whole again, and so is a name that was put in between', async () => {
  let onDelete = async (): Promise<void> => {};
  const vault = await removed((adapter, index) => ({
    ...adapter,
    deleteSlot: async (...args) => {
      if (index === 1) await onDelete();
      return adapter.deleteSlot(...args);
    },
  }));
  const { context } = vault;
  onDelete = async () => {
    throw new Error('the process is gone');
  };
  const cut = await dropTombstones(later(context, 8), WEEK);
  expect(cut.dropped).toBe(0);
  expect((await keysIn(context, 'slots_due')).length).toBeGreaterThan(0);
  await renewSlots(context);
  expect(await keysIn(context, 'slots_due')).toEqual([]);
  // Of the names that all slots have again, one is put while it is being dropped.
  onDelete = async () => {
    onDelete = async () => {};
    await putObject(context, noise(400), { name: 'n0' });
  };
  const names = await keysIn(context, 'names');
  await dropTombstones(later(context, 8), WEEK);
  await renewSlots(context);
  expect(Buffer.compare(await readAll(await getObject(context, 'n0')), noise(400))).toBe(0);
  expect(names.length).toBe(NAMES + 1);
  const fresh = { ...context, engine: createMemoryEngine() };
  await recoverVault(fresh);
  expect(Buffer.compare(await readAll(await getObject(fresh, 'n0')), noise(400))).toBe(0);
});
