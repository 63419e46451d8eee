import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EntriesOptions } from '../../src/engine/engine.ts';
import {
  type BatchOp,
  type Engine,
  MAX_BATCH_ENTRIES,
  MAX_VALUE_BYTES,
  type Precondition,
  type Table,
} from '../../src/engine/index.ts';

export interface EngineUnderTest {
  /** A fresh, empty engine and what to do after the test. */
  make(): Promise<{ engine: Engine; cleanUp(): Promise<void> }>;
}

/** Every test of the suite around it gets an engine of its own. */
export function withFreshEngine(underTest: EngineUnderTest, take: (engine: Engine) => void): void {
  let made: Awaited<ReturnType<EngineUnderTest['make']>>;
  beforeEach(async () => {
    made = await underTest.make();
    take(made.engine);
  });
  afterEach(async () => {
    await made.engine.close();
    await made.cleanUp();
  });
}

export async function keysOf(table: Table, options?: EntriesOptions): Promise<string[]> {
  const out: string[] = [];
  for await (const [key] of table.entries(options)) out.push(key);
  return out;
}

export const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

const set = (key: string, value: Uint8Array | undefined, inTable = 'things'): BatchOp => ({
  table: inTable,
  key,
  value,
});
const is = (key: string, expected: Uint8Array | undefined, inTable = 'things'): Precondition => ({
  table: inTable,
  key,
  expected,
});

/** What every engine promises of batches. */
export function batchConformance(underTest: EngineUnderTest): void {
  describe('batches', () => {
    let engine: Engine;
    let table: Table;
    withFreshEngine(underTest, (fresh) => {
      engine = fresh;
      table = fresh.table('things');
    });
    const keys = (options?: EntriesOptions): Promise<string[]> => keysOf(table, options);

    it('writes a batch over several tables', async () => {
      await table.put('old', bytes(1));
      const ops = [
        set('a', bytes(1)),
        set('a', bytes(2), 'others'),
        set('old', undefined),
        set('none', undefined),
      ];
      expect(await engine.batch(ops, [], { sync: true })).toBe(true);
      expect(await keys()).toEqual(['a']);
      expect(await engine.table('others').get('a')).toEqual(bytes(2));
      expect(await engine.batch([], [is('a', bytes(1))])).toBe(true);
      expect(await engine.batch([], [is('a', bytes(2))])).toBe(false);
    });

    it('writes nothing of a batch of which one precondition does not hold', async () => {
      await table.put('a', bytes(1));
      await engine.table('others').put('empty', bytes());
      const ops = [set('a', bytes(9)), set('b', bytes(9), 'others')];
      for (const wrong of [
        is('a', bytes(1, 0)),
        is('a', undefined),
        is('b', bytes(), 'others'),
        is('empty', undefined, 'others'),
      ]) {
        expect(await engine.batch(ops, [is('a', bytes(1)), wrong])).toBe(false);
      }
      expect(await table.get('a')).toEqual(bytes(1));
      expect(await engine.table('others').get('b')).toBeUndefined();
      const right = [is('a', bytes(1)), is('empty', bytes(), 'others'), is('b', undefined, 'others')];
      expect(await engine.batch(ops, right)).toBe(true);
      expect(await table.get('a')).toEqual(bytes(9));
    });

    it('copies the values of a batch and of its preconditions', async () => {
      const [value, expected] = [bytes(1, 2), bytes(7)];
      await table.put('there', expected);
      const written = engine.batch([set('a', value)], [is('there', expected)]);
      value[0] = 9;
      expected[0] = 9;
      expect(await written).toBe(true);
      expect(await table.get('a')).toEqual(bytes(1, 2));
    });

    it('moves tokens between tables, and never makes or loses one', async () => {
      const places = ['a', 'b', 'c'].flatMap((key) => ['things', 'others'].map((at) => [at, key] as const));
      const read = async (at: string, key: string): Promise<number> =>
        (await engine.table(at).get(key))?.[0] ?? 0;
      const count = (n: number): Uint8Array | undefined => (n === 0 ? undefined : bytes(n));
      await table.put('a', bytes(20));
      const move = async (seed: number): Promise<void> => {
        for (let i = 0; i < 20; i++) {
          const from = places[(seed + i) % places.length]!;
          const to = places[(seed * 5 + 3 * i + 1) % places.length]!;
          const [left, had] = [await read(...from), await read(...to)];
          if (left === 0 || from === to) continue;
          const ops = [set(from[1], count(left - 1), from[0]), set(to[1], count(had + 1), to[0])];
          await engine.batch(ops, [is(from[1], count(left), from[0]), is(to[1], count(had), to[0])]);
        }
      };
      await Promise.all(Array.from({ length: 8 }, (_, seed) => move(seed)));
      const left = await Promise.all(places.map((place) => read(...place)));
      expect(left.reduce((sum, n) => sum + n)).toBe(20);
      expect(left[0]).toBeLessThan(20);
    });

    it('shows a batch whole to whoever reads its entries in any order', async () => {
      const writing = (async () => {
        for (let i = 1; i <= 50; i++) await engine.batch([set('a', bytes(i)), set('b', bytes(i), 'others')]);
      })();
      let torn = 0;
      let done = false;
      void writing.then(() => {
        done = true;
      });
      while (!done) {
        const before = (await table.get('a'))?.[0] ?? 0;
        const between = (await engine.table('others').get('b'))?.[0] ?? 0;
        const after = (await table.get('a'))?.[0] ?? 0;
        if (between < before || after < between) torn++;
      }
      await writing;
      expect(torn).toBe(0);
    });

    it('keeps batches and single writes of one key in the order of the calls', async () => {
      const writes: Promise<unknown>[] = [];
      for (let i = 0; i < 20; i++) {
        writes.push(table.put('a', bytes(i)));
        writes.push(engine.batch([set('b', bytes(i)), set('a', bytes(i, i))]));
        writes.push(table.delete('b'), engine.batch([set('a', bytes(i, i, i)), set('b', bytes(i, i, i))]));
      }
      const last = engine.batch(
        [set('c', bytes(1))],
        [is('a', bytes(19, 19, 19)), is('b', bytes(19, 19, 19))],
      );
      await Promise.all(writes);
      expect(await last).toBe(true);
    });

    it('refuses a batch that is malformed, too large, aborted or too late, and writes none of it', async () => {
      const fine = set('fine', bytes(1));
      const refused = async (
        code: string,
        ops: readonly BatchOp[],
        preconditions: readonly Precondition[] = [],
      ) => expect(engine.batch(ops, preconditions)).rejects.toMatchObject({ name: 'HoldfastError', code });
      await refused('engine_bad_batch', [fine, set('twice', bytes(1)), set('twice', undefined)]);
      await refused('engine_bad_key', [fine, set('', bytes(1))]);
      await refused('engine_bad_key', [fine], [is('a\0', undefined)]);
      await refused('engine_bad_table', [fine, set('a', bytes(1), 'Things')]);
      await refused('engine_bad_value', [fine, set('a', 'text' as unknown as Uint8Array)]);
      await refused('engine_bad_value', [fine], [is('a', new Uint8Array(MAX_VALUE_BYTES + 1))]);
      const many = Array.from({ length: MAX_BATCH_ENTRIES }, (_, i) => set(`many ${i}`, undefined));
      await refused('engine_bad_batch', [fine, ...many]);
      await refused('engine_bad_batch', many, [is('a', undefined)]);
      const large = new Uint8Array(MAX_VALUE_BYTES);
      await refused('engine_bad_batch', [fine, ...['a', 'b', 'c', 'd'].map((key) => set(key, large))]);
      const signal = AbortSignal.abort();
      await expect(engine.batch([fine], [], { signal })).rejects.toMatchObject({ kind: 'Aborted' });
      expect(await keys()).toEqual([]);
      expect(await engine.batch(many)).toBe(true);
      await engine.close();
      await expect(engine.batch([fine])).rejects.toMatchObject({ code: 'engine_closed' });
    });
  });
}
