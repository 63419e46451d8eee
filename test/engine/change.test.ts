import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/core/errors.ts';
import { type Change, changeEntries } from '../../src/engine/change.ts';
import { createMemoryEngine, type Engine } from '../../src/engine/index.ts';
import { bytes } from './batches.ts';

const KEYS = Array.from({ length: 9 }, (_, i) => `p${i}`);
const increment: Change = (stored) => bytes((stored?.[0] ?? 0) + 1);
const allOf = (change: Change): ReadonlyMap<string, Change> => new Map(KEYS.map((key) => [key, change]));

/** Counts what is asked of it; `between` runs after each read, before the write that follows. */
function counted(engine: Engine, between = async (): Promise<void> => {}) {
  const asked = { reads: 0, batches: 0 };
  const counting: Engine = {
    ...engine,
    table: (name) => ({
      ...engine.table(name),
      get: (...args) => {
        asked.reads++;
        return engine.table(name).get(...args);
      },
      entries: (...args) => {
        asked.reads++;
        return engine.table(name).entries(...args);
      },
    }),
    async batch(...args) {
      asked.batches++;
      await between();
      return engine.batch(...args);
    },
  };
  return { counting, asked };
}

describe('changing many entries', () => {
  it('costs one read and one write, however many they are', async () => {
    const { counting, asked } = counted(createMemoryEngine());
    expect(await changeEntries(counting, 't', allOf(increment))).toEqual(new Map());
    expect(asked).toEqual({ reads: 1, batches: 1 });
    for (const key of KEYS) expect(await counting.table('t').get(key)).toEqual(bytes(1));
  });

  it('loses no change of others that come between', async () => {
    const engine = createMemoryEngine();
    let rivals = 0;
    const rival = async (): Promise<void> => {
      if (rivals++ < 3) await changeEntries(engine, 't', new Map([['p4', increment]]));
    };
    const { counting, asked } = counted(engine, rival);
    await changeEntries(counting, 't', allOf(increment));
    expect(asked.batches).toBe(4);
    expect(await engine.table('t').get('p4')).toEqual(bytes(4));
    expect(await engine.table('t').get('p3')).toEqual(bytes(1));
  });

  it('gives up after so many, with nothing changed', async () => {
    const engine = createMemoryEngine();
    const rival = async (): Promise<void> =>
      void (await changeEntries(engine, 't', new Map([['p4', increment]])));
    const { counting } = counted(engine, rival);
    await expect(changeEntries(counting, 't', allOf(increment))).rejects.toMatchObject({
      kind: 'Conflict',
      status: 'temporary',
    });
    expect(await engine.table('t').get('p3')).toBeUndefined();
  });

  it('changes all but those that cannot be changed, and says why', async () => {
    const engine = createMemoryEngine();
    const unreadable = new HoldfastError('Corrupt', 'no such thing');
    const change = new Map(allOf(increment)).set('p2', () => {
      throw unreadable;
    });
    expect(await changeEntries(engine, 't', change)).toEqual(new Map([['p2', unreadable]]));
    expect(await engine.table('t').get('p1')).toEqual(bytes(1));
    expect(await engine.table('t').get('p2')).toBeUndefined();
  });
});
