import { beforeEach, describe, expect, it } from 'vitest';
import { secureRandom } from '../../src/core/random.ts';
import { createSlots, type GenerationStore, type Slots } from '../../src/providers/generations.ts';
import { slotConflict } from '../../src/providers/guard.ts';

const NAME = '0'.repeat(32);
const one = (byte: number): Uint8Array => Uint8Array.of(byte);

let rows: Map<number, Uint8Array>;
let store: GenerationStore;
let others: Slots;

beforeEach(() => {
  rows = new Map();
  store = {
    numbers: async () => [...rows.keys()],
    read: async (_, number) => rows.get(number),
    async create(_, number, bytes) {
      if (rows.has(number)) throw slotConflict();
      rows.set(number, bytes);
    },
    remove: async (_, number) => void rows.delete(number),
  };
  others = createSlots(store, secureRandom);
});

const read = async (): Promise<number | undefined> => (await others.read(NAME, undefined))?.bytes[0];
const versionNow = async (): Promise<string | undefined> => (await others.read(NAME, undefined))?.version;
const writeByOthers = async (times: number): Promise<void> => {
  for (let i = 0; i < times; i++) await others.write(NAME, one(100 + i), await versionNow(), undefined);
};
/** A writer around whose create something happens. */
const writer = (before: () => Promise<void>, after: () => Promise<void>): Slots =>
  createSlots(
    {
      ...store,
      async create(...args) {
        await before();
        await store.create(...args);
        await after();
      },
    },
    secureRandom,
  );
const nothing = async (): Promise<void> => {};

describe('a writer of a slot', () => {
  it('has won even if others have built on its write before it looks again', async () => {
    await writeByOthers(1);
    const expected = await versionNow();
    const built = writer(nothing, () => writeByOthers(3));
    await built.write(NAME, one(7), expected, undefined);
    expect(await read()).toBe(102);
  });

  it('has lost if another took its number', async () => {
    await writeByOthers(1);
    const late = writer(() => writeByOthers(1), nothing);
    const attempt = late.write(NAME, one(7), await versionNow(), undefined);
    await expect(attempt).rejects.toMatchObject({ kind: 'Conflict' });
    expect(await read()).toBe(100);
  });

  it('that slept until its number was free again neither wins nor changes anything', async () => {
    await writeByOthers(1);
    const sleeper = writer(() => writeByOthers(30), nothing);
    const attempt = sleeper.write(NAME, one(7), await versionNow(), undefined);
    await expect(attempt).rejects.toMatchObject({ kind: 'Unavailable', code: 'slot_outcome_unknown' });
    expect(await read()).toBe(129);
    expect(rows.size).toBeLessThanOrEqual(8);
  });

  it('finds no number free again after a delete', async () => {
    await writeByOthers(1);
    const version = await versionNow();
    const late = writer(() => others.delete(NAME, undefined), nothing);
    await expect(late.write(NAME, one(7), version, undefined)).rejects.toMatchObject({ kind: 'Conflict' });
    expect(await read()).toBeUndefined();
  });
});

it('a slot with far more generations than are ever kept is damaged, hides no other and is read no further', async () => {
  for (let i = 1; i <= 10_001; i++) rows.set(i, new Uint8Array(0));
  await expect(others.read(NAME, undefined)).rejects.toMatchObject({ kind: 'Corrupt' });
  expect(await others.isThere(NAME, undefined)).toBe(true);
});

it('a slot whose last number was planted takes no write that nobody would see', async () => {
  rows.set(10 ** 15 - 1, new Uint8Array(0));
  await expect(others.write(NAME, one(1), undefined, undefined)).rejects.toMatchObject({ kind: 'Corrupt' });
});

it('a slot that is forgotten reads as deleted at every step of it, whatever order they are listed in', async () => {
  await writeByOthers(5);
  const seen: string[] = [];
  const forgetting = createSlots(
    {
      ...store,
      numbers: async () => [...rows.keys()].reverse(),
      async remove(...args) {
        await store.remove(...args);
        seen.push(rows.size === 0 ? 'gone' : String(await read()));
      },
      flush: async () => void seen.push('flush'),
    },
    secureRandom,
  );
  await forgetting.delete(NAME, undefined, true);
  expect(seen).toEqual(['undefined', 'undefined', 'undefined', 'undefined', 'undefined', 'flush', 'gone']);
});
