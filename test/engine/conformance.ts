import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EntriesOptions } from '../../src/engine/engine.ts';
import { type Engine, MAX_KEY_BYTES, MAX_VALUE_BYTES, type Table } from '../../src/engine/index.ts';
import { batchConformance, bytes, type EngineUnderTest, keysOf, withFreshEngine } from './batches.ts';

const runs = process.env.SLOW === '1' ? 200 : 15;

/** What every engine promises; each one's test runs it. */
export function engineConformance(name: string, underTest: EngineUnderTest): void {
  describe(`${name} engine`, () => {
    let engine: Engine;
    let table: Table;
    withFreshEngine(underTest, (fresh) => {
      engine = fresh;
      table = fresh.table('things');
    });
    const keys = (options?: EntriesOptions): Promise<string[]> => keysOf(table, options);
    const fill = async (names: readonly string[]): Promise<void> => {
      for (const key of names) await table.put(key, bytes(1));
    };

    it('gives back what was put, and undefined for what was not', async () => {
      await table.put('a', bytes(1, 2, 3), { sync: true });
      expect(await table.get('a')).toEqual(bytes(1, 2, 3));
      expect(await table.get('b')).toBeUndefined();
    });

    it('keeps an empty value apart from no value', async () => {
      await table.put('empty', bytes());
      expect(await table.get('empty')).toEqual(bytes());
      expect(await table.compareAndSet('empty', undefined, bytes(1))).toBe(false);
      expect(await table.compareAndSet('absent', bytes(), bytes(1))).toBe(false);
      expect(await table.get('absent')).toBeUndefined();
    });

    it('keeps tables apart, also where one name continues another', async () => {
      await table.put('a', bytes(1));
      await engine.table('things2').put('a', bytes(2));
      await engine.table('thing').put('s:a', bytes(3));
      expect(await table.get('a')).toEqual(bytes(1));
      expect(await keys()).toEqual(['a']);
      expect(await engine.table('things').get('a')).toEqual(bytes(1));
    });

    it('copies values in and out', async () => {
      const value = bytes(1, 2);
      const put = table.put('a', value);
      value[0] = 9;
      await put;
      const read = (await table.get('a'))!;
      expect(read).toEqual(bytes(1, 2));
      read[0] = 9;
      expect(await table.get('a')).toEqual(bytes(1, 2));
    });

    it('takes a value that lies in shared memory', async () => {
      const shared = new Uint8Array(new SharedArrayBuffer(3));
      shared.set([7, 8, 9]);
      await table.put('shared', shared);
      expect(await table.get('shared')).toEqual(bytes(7, 8, 9));
    });

    it('deletes, again and again', async () => {
      await table.put('a', bytes(1));
      await table.delete('a', { sync: true });
      await table.delete('a');
      expect(await table.get('a')).toBeUndefined();
      expect(await keys()).toEqual([]);
    });

    it('replaces a value only while it is the expected one', async () => {
      expect(await table.compareAndSet('a', undefined, bytes(1), { sync: true })).toBe(true);
      expect(await table.compareAndSet('a', undefined, bytes(2))).toBe(false);
      expect(await table.compareAndSet('a', bytes(1, 0), bytes(2))).toBe(false);
      expect(await table.get('a')).toEqual(bytes(1));
      expect(await table.compareAndSet('a', bytes(1), bytes(2))).toBe(true);
      expect(await table.compareAndSet('a', bytes(2), undefined)).toBe(true);
      expect(await table.get('a')).toBeUndefined();
      expect(await table.compareAndSet('a', undefined, undefined)).toBe(true);
    });

    it('lets exactly one of many rivals through', async () => {
      const rivals = Array.from({ length: 20 }, (_, i) => table.compareAndSet('prize', undefined, bytes(i)));
      const won = await Promise.all(rivals);
      expect(won.filter(Boolean)).toHaveLength(1);
      expect(await table.get('prize')).toEqual(bytes(won.indexOf(true)));
    });

    it('loses no increment of a counter shared by tasks', async () => {
      const increment = async (): Promise<void> => {
        for (;;) {
          const now = await table.get('counter');
          if (await table.compareAndSet('counter', now, bytes((now?.[0] ?? 0) + 1))) return;
        }
      };
      await Promise.all(Array.from({ length: 15 }, increment));
      expect(await table.get('counter')).toEqual(bytes(15));
    });

    it('applies the writes to one key in the order of the calls', async () => {
      const writes: Promise<unknown>[] = [];
      for (let i = 0; i < 20; i++) {
        writes.push(table.put('a', bytes(i)), table.delete('a'), table.put('a', bytes(i, i)));
      }
      const swapped = table.compareAndSet('a', bytes(19, 19), bytes(42));
      await Promise.all(writes);
      expect(await swapped).toBe(true);
      expect(await table.get('a')).toEqual(bytes(42));
    });

    batchConformance(underTest);

    it('lists in the order of UTF-8 bytes', async () => {
      const sorted = ['a', 'a\u0001', 'aa', 'b', 'é', '\uffee', '\u{1f600}', '\u{10ffff}'];
      await fill(sorted.toReversed());
      expect(await keys()).toEqual(sorted);
      expect(await keys({ reverse: true })).toEqual(sorted.toReversed());
    });

    it('bounds a listing by gte, lt, prefix and limit, also combined', async () => {
      await fill(['a', 'b', 'b1', 'b2', 'b3', 'c']);
      expect(await keys({ gte: 'b1' })).toEqual(['b1', 'b2', 'b3', 'c']);
      expect(await keys({ lt: 'b1' })).toEqual(['a', 'b']);
      expect(await keys({ prefix: 'b' })).toEqual(['b', 'b1', 'b2', 'b3']);
      expect(await keys({ prefix: 'b', gte: 'b1', lt: 'b3' })).toEqual(['b1', 'b2']);
      expect(await keys({ prefix: 'b', reverse: true, limit: 2 })).toEqual(['b3', 'b2']);
      expect(await keys({ limit: 0 })).toEqual([]);
      expect(await keys({ gte: 'x', lt: 'a' })).toEqual([]);
      expect(await keys({ prefix: 'a', gte: 'b' })).toEqual([]);
      expect(await keys({ prefix: '\u{10ffff}' })).toEqual([]);
    });

    it('lists more entries than any page holds, each once', async () => {
      const names = Array.from({ length: 600 }, (_, i) => String(i).padStart(4, '0'));
      await Promise.all(names.map((key) => table.put(key, bytes(1))));
      expect(await keys()).toEqual(names);
      expect(await keys({ reverse: true, limit: 300 })).toEqual(names.toReversed().slice(0, 300));
    });

    it('lists values larger together than any page', async () => {
      for (const key of ['a', 'b', 'c', 'd', 'e']) await table.put(key, new Uint8Array(600_000).fill(7));
      const sizes: number[] = [];
      for await (const [, value] of table.entries()) sizes.push(value.length);
      expect(sizes).toEqual(Array.from({ length: 5 }, () => 600_000));
    });

    it('lets the consumer of a listing write and delete as it goes', async () => {
      const names = Array.from({ length: 300 }, (_, i) => String(i).padStart(4, '0'));
      await fill(names);
      for await (const [key] of table.entries()) await table.delete(key);
      expect(await keys()).toEqual([]);
    });

    it('agrees with a sorted map on any run of operations', async () => {
      const key = fc.constantFrom('a', 'ab', 'b', 'b\u{1f600}', 'ÿ', 'z');
      const value = fc.uint8Array({ maxLength: 3 });
      const step = fc.oneof(
        fc.record({ op: fc.constant('put' as const), key, value }),
        fc.record({ op: fc.constant('delete' as const), key }),
        fc.record({
          op: fc.constant('cas' as const),
          key,
          expected: fc.option(value, { nil: undefined }),
          next: fc.option(value, { nil: undefined }),
        }),
      );
      let round = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
          const fresh = engine.table(`t${round++}`);
          const model = new Map<string, Uint8Array>();
          for (const s of steps) {
            if (s.op === 'put') {
              model.set(s.key, s.value);
              await fresh.put(s.key, s.value);
            } else if (s.op === 'delete') {
              model.delete(s.key);
              await fresh.delete(s.key);
            } else {
              const same = hex(model.get(s.key)) === hex(s.expected);
              if (same && s.next) model.set(s.key, s.next);
              if (same && !s.next) model.delete(s.key);
              expect(await fresh.compareAndSet(s.key, s.expected, s.next)).toBe(same);
            }
          }
          const listed: [string, string][] = [];
          for await (const [k, v] of fresh.entries()) listed.push([k, hex(v)]);
          const wanted = [...model].map(([k, v]): [string, string] => [k, hex(v)]);
          wanted.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
          expect(listed).toEqual(wanted);
        }),
        { numRuns: runs },
      );
    });

    it.each([
      ['an empty key', ''],
      ['a key with NUL', 'a\0b'],
      ['a lone surrogate', 'a\ud800'],
      ['a key that is too long in bytes', 'é'.repeat(MAX_KEY_BYTES / 2 + 1)],
      ['a key that is no text', 7 as unknown as string],
    ])('refuses %s', async (_, key) => {
      const refusal = { name: 'HoldfastError', kind: 'Unexpected', code: 'engine_bad_key' };
      await expect(table.get(key)).rejects.toMatchObject(refusal);
      await expect(table.put(key, bytes(1))).rejects.toMatchObject(refusal);
      await expect(table.delete(key)).rejects.toMatchObject(refusal);
      await expect(table.compareAndSet(key, undefined, bytes(1))).rejects.toMatchObject(refusal);
      expect(await keys()).toEqual([]);
    });

    it('takes the longest key and refuses malformed values, ranges and table names', async () => {
      await table.put('k'.repeat(MAX_KEY_BYTES), bytes(1));
      expect(await keys()).toEqual(['k'.repeat(MAX_KEY_BYTES)]);
      const refused = { name: 'HoldfastError', code: 'engine_bad_value' };
      await expect(table.put('a', 'text' as unknown as Uint8Array)).rejects.toMatchObject(refused);
      await expect(table.put('a', new Uint8Array(MAX_VALUE_BYTES + 1))).rejects.toMatchObject(refused);
      await expect(table.compareAndSet('a', undefined, 1 as unknown as Uint8Array)).rejects.toMatchObject(
        refused,
      );
      await expect(keys({ limit: -1 })).rejects.toMatchObject({ code: 'engine_bad_range' });
      await expect(keys({ limit: 1.5 })).rejects.toMatchObject({ code: 'engine_bad_range' });
      await expect(keys({ prefix: '\udc00' })).rejects.toMatchObject({ code: 'engine_bad_range' });
      for (const bad of ['', 'A', '1a', 'a:b', 'x'.repeat(64)]) {
        expect(() => engine.table(bad)).toThrow(expect.objectContaining({ code: 'engine_bad_table' }));
      }
    });

    it('refuses an aborted signal before touching anything', async () => {
      await table.put('a', bytes(1));
      const signal = AbortSignal.abort();
      const aborted = { kind: 'Aborted' };
      await expect(table.get('a', { signal })).rejects.toMatchObject(aborted);
      await expect(table.put('a', bytes(2), { signal })).rejects.toMatchObject(aborted);
      await expect(table.delete('a', { signal })).rejects.toMatchObject(aborted);
      await expect(table.compareAndSet('a', bytes(1), bytes(2), { signal })).rejects.toMatchObject(aborted);
      await expect(keys({ signal })).rejects.toMatchObject(aborted);
      expect(await table.get('a')).toEqual(bytes(1));
    });

    it('stops a listing when its signal fires', async () => {
      await fill(['a', 'b', 'c']);
      const controller = new AbortController();
      const seen: string[] = [];
      const reading = (async () => {
        for await (const [key] of table.entries({ signal: controller.signal })) {
          seen.push(key);
          controller.abort();
        }
      })();
      await expect(reading).rejects.toMatchObject({ kind: 'Aborted' });
      expect(seen).toEqual(['a']);
    });

    it('refuses everything once closed, and closes twice', async () => {
      await table.put('a', bytes(1));
      await Promise.all([engine.close(), engine.close()]);
      const closed = {
        name: 'HoldfastError',
        kind: 'Unavailable',
        code: 'engine_closed',
        status: 'permanent',
      };
      await expect(table.get('a')).rejects.toMatchObject(closed);
      await expect(table.put('a', bytes(1))).rejects.toMatchObject(closed);
      await expect(table.delete('a')).rejects.toMatchObject(closed);
      await expect(table.compareAndSet('a', undefined, bytes(1))).rejects.toMatchObject(closed);
      await expect(keys()).rejects.toMatchObject(closed);
      await expect(engine.table('other').get('a')).rejects.toMatchObject(closed);
    });
  });
}

const hex = (value: Uint8Array | undefined): string =>
  value === undefined ? 'none' : Buffer.from(value).toString('hex');
