import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import { systemClock } from '../../src/core/clock.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { type BatchOp, createLevelEngine, createMemoryEngine, type Engine } from '../../src/engine/index.ts';
import type { RecordsContext } from '../../src/records/context.ts';
import { buildNameIndex } from '../../src/records/name-build.ts';
import { type ListObjectsOptions, listNames } from '../../src/records/name-listing.ts';
import { pointName } from '../../src/records/names.ts';
import { aroundWrites } from '../helpers/engine.ts';
import { testVault } from '../helpers/vault.ts';

const manifest = addressOf(new Uint8Array(32));
const SLOW = process.env.SLOW === '1';

const vaultOn = async (engine: Engine): Promise<RecordsContext> => {
  const { context } = await testVault({ providers: 1, arenaBytes: 4 * 1024 * 1024 });
  return { ...context, engine };
};
const point = (context: RecordsContext, name: string): Promise<unknown> =>
  pointName(context, name, { manifest, size: 7, createdMs: 1_700_000_000_000 });
const remove = (context: RecordsContext, name: string): Promise<unknown> =>
  pointName(context, name, { manifest: undefined, size: 0, createdMs: 1_700_000_000_000 });
const pointAll = (context: RecordsContext, names: readonly string[]): Promise<unknown> =>
  Promise.all(names.map((name) => point(context, name)));

async function listed(context: RecordsContext, options: ListObjectsOptions = {}): Promise<string[]> {
  const found: string[] = [];
  for await (const one of listNames(context, options)) found.push('name' in one ? one.name : one.prefix);
  return found;
}

const sorted = (names: Iterable<string>): string[] =>
  [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
const numbered = (count: number, prefix = ''): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${String((i * 7919) % count).padStart(6, '0')}`);

/** The same engine; `reads` counts single reads and listings by table. */
function countingReads(engine: Engine): { engine: Engine; reads: Map<string, number> } {
  const reads = new Map<string, number>();
  const count = (key: string): void => void reads.set(key, (reads.get(key) ?? 0) + 1);
  const inner = aroundWrites(engine, (_, work) => work());
  return {
    reads,
    engine: {
      ...inner,
      table: (name) => {
        const table = inner.table(name);
        return {
          ...table,
          get: (...given) => {
            count(`get ${name}`);
            return table.get(...given);
          },
          entries: (...given) => {
            count(`entries ${name}`);
            return table.entries(...given);
          },
        };
      },
    },
  };
}

async function tableOf(engine: Engine, name: string): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  for await (const [key, value] of engine.table(name).entries()) found.set(key, value);
  return found;
}

async function levelEngines(count: number): Promise<Engine[]> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-name-index-'));
  const engines = Array.from({ length: count }, () =>
    createLevelEngine({
      location: join(folder, 'db'),
      clock: systemClock,
      lockWaitMs: 60_000,
      idleReleaseMs: 5,
    }),
  );
  onTestFinished(async () => {
    await Promise.all(engines.map((engine) => engine.close()));
    await rm(folder, { recursive: true, force: true });
  });
  return engines;
}

describe('the index of names', () => {
  it('agrees with a sorted list while names come and go by the hundred', async () => {
    const context = await vaultOn(createMemoryEngine());
    const names = new Set<string>();
    const step = fc.record({
      from: fc.nat(2000),
      count: fc.integer({ min: 1, max: 300 }),
      gone: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), fc.nat(2000), async (steps, at) => {
        for (const { from, count, gone } of steps) {
          const some = Array.from(
            { length: count },
            (_, i) => `n${String((from + i * 3) % 2000).padStart(4, '0')}`,
          );
          for (const name of some) gone ? names.delete(name) : names.add(name);
          await Promise.all(some.map((name) => (gone ? remove : point)(context, name)));
        }
        const all = sorted(names);
        expect(await listed(context)).toEqual(all);
        const after = `n${String(at).padStart(4, '0')}`;
        expect(await listed(context, { after, limit: 70 })).toEqual(
          all.filter((n) => n > after).slice(0, 70),
        );
      }),
      { numRuns: SLOW ? 40 : 6 },
    );
    await Promise.all([...names].map((name) => remove(context, name)));
    expect(await listed(context)).toEqual([]);
    const pages = [...(await tableOf(context.engine, 'name_index')).keys()].filter((key) =>
      key.includes('/'),
    );
    expect(pages).toHaveLength(1);
  });

  it('is kept by two that take turns at one database, beside each other', async () => {
    const [one, other] = await Promise.all((await levelEngines(2)).map(vaultOn));
    const shared = { ...other!, keys: one!.keys };
    const names = numbered(SLOW ? 2000 : 150);
    await Promise.all(
      names.map(async (name, i) => {
        const context = i % 2 === 0 ? one! : shared;
        await point(context, name);
        if (i % 5 === 0) await remove(i % 3 === 0 ? one! : shared, name);
      }),
    );
    const wanted = sorted(names.filter((_, i) => i % 5 !== 0));
    expect(await listed(one!)).toEqual(wanted);
    expect(await listed(shared)).toEqual(wanted);
    expect(await listed(one!, { after: wanted[20]!, limit: 3 })).toEqual(wanted.slice(21, 24));
  });

  it('loses a name that another process put since it looked, when it is removed here', async () => {
    const memory = createMemoryEngine();
    const here = await vaultOn(memory);
    await point(here, 'a');
    // Another process remembers pages of its own.
    const there = { ...here, engine: aroundWrites(memory, (_, work) => work()) };
    await point(there, 'b');
    await remove(here, 'b');
    expect(await listed(here)).toEqual(['a']);
  });

  it('writes many names at once in few steps', async () => {
    let flushes = 0;
    const engine = aroundWrites(createMemoryEngine(), async ({ sync }, work) => {
      if (sync) flushes++;
      await new Promise((resolve) => setTimeout(resolve, 1));
      return work();
    });
    const context = await vaultOn(engine);
    await pointAll(context, numbered(64));
    expect(flushes).toBeLessThan(8);
    expect(await listed(context)).toEqual(sorted(numbered(64)));
  });

  it('lets one failing change fail alone', async () => {
    const failure = new Error('this one cannot be written');
    const steps: number[] = [];
    const context = await vaultOn(
      aroundWrites(createMemoryEngine(), async ({ ops }, work) => {
        steps.push(ops.filter(({ table }) => table === 'names').length);
        // The others come while the first is being written.
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (ops.some(({ key }) => key === 'poison')) throw failure;
        return work();
      }),
    );
    const also = async (): Promise<BatchOp[]> => [
      { table: 'trash', key: 'poison', value: new Uint8Array(0) },
    ];
    const target = { manifest, size: 7, createdMs: 1 };
    const first = point(context, 'a');
    const poisoned = pointName(context, 'b', target, { also });
    const [a, b, c] = await Promise.allSettled([first, poisoned, point(context, 'c')]);
    expect(steps).toEqual([1, 2, 1, 1]);
    expect([a!.status, b, c!.status]).toEqual([
      'fulfilled',
      { status: 'rejected', reason: failure },
      'fulfilled',
    ]);
    expect(await listed(context)).toEqual(['a', 'c']);
  });

  it('is made of what a state without one holds, and goes on where it was cut off', async () => {
    const context = await vaultOn(createMemoryEngine());
    await pointAll(context, numbered(700));
    await remove(context, numbered(700)[3]!);
    for (const key of (await tableOf(context.engine, 'name_index')).keys()) {
      await context.engine.table('name_index').delete(key);
    }
    // Another home of the same state, as an earlier version left it.
    let steps = 0;
    const stopped = new HoldfastError('Unavailable', 'stopped');
    const engine = aroundWrites(context.engine, async (_, work) => {
      if (++steps > 3) throw stopped;
      return work();
    });
    await expect(buildNameIndex({ ...context, engine })).rejects.toBe(stopped);
    await point(context, 'meanwhile');
    const wanted = sorted([...numbered(700).filter((name) => name !== numbered(700)[3]), 'meanwhile']);
    expect(await listed(context)).toEqual(wanted);
    expect((await buildNameIndex(context)).built).toBe('all');
  });

  it('is made anew from the names when a page is damaged, missing or of another place, and stops no listing', async () => {
    const memory = createMemoryEngine();
    const context = await vaultOn(memory);
    await pointAll(context, numbered(300));
    const table = memory.table('name_index');
    const pages = async (): Promise<string[]> =>
      [...(await tableOf(memory, 'name_index')).keys()].filter((key) => key.includes('/'));
    const spoilt: ((key: string, others: string[]) => Promise<unknown>)[] = [
      async (key) => table.put(key, new Uint8Array(100)),
      async (key) => table.delete(key),
      async (key, others) => table.put(key, (await table.get(others[0]!))!),
    ];
    for (const spoil of spoilt) {
      const all = await pages();
      for (const key of all.slice(1, 4)) await spoil(key, all);
      expect(await listed(context)).toEqual(sorted(numbered(300)));
      // As another process sees it, which remembers nothing.
      const fresh = { ...context, engine: aroundWrites(memory, (_, work) => work()) };
      expect(await listed(fresh)).toEqual(sorted(numbered(300)));
    }
    const generations = new Set((await pages()).map((key) => key.split('/')[0]));
    expect(generations.size).toBe(1);
  });

  it('stops no change of a name when its pages are damaged', async () => {
    const memory = createMemoryEngine();
    const context = await vaultOn(memory);
    await pointAll(context, numbered(200));
    for (const key of (await tableOf(memory, 'name_index')).keys()) {
      if (key.includes('/')) await memory.table('name_index').put(key, new Uint8Array(50));
    }
    const fresh = { ...context, engine: aroundWrites(memory, (_, work) => work()) };
    await point(fresh, 'new');
    expect(await listed(fresh)).toEqual(sorted([...numbered(200), 'new']));
  });

  it('is not made where it cannot be written, and the names are listed all the same', async () => {
    const memory = createMemoryEngine();
    const context = await vaultOn(memory);
    await pointAll(context, numbered(300));
    await memory.table('name_index').delete('generation');
    const full = async (): Promise<never> => {
      throw new HoldfastError('QuotaExceeded', 'no space is left for the database', { code: 'engine_full' });
    };
    const names = await listed({ ...context, engine: aroundWrites(memory, full) }, { limit: 290 });
    expect(names).toEqual(sorted(numbered(300)).slice(0, 290));
  });

  it('says nothing of a name that can be read without the key', async () => {
    const memory = createMemoryEngine();
    await pointAll(await vaultOn(memory), numbered(200, 'conspicuous '));
    for (const [key, value] of await tableOf(memory, 'name_index')) {
      expect(`${key}${Buffer.from(value).toString('latin1')}`).not.toContain('conspicuous');
    }
  });

  it('is left alone by whoever has another key', async () => {
    const memory = createMemoryEngine();
    const context = await vaultOn(memory);
    await pointAll(context, numbered(100));
    const before = await tableOf(memory, 'name_index');
    const stranger = await vaultOn(memory);
    await expect(listed(stranger)).rejects.toMatchObject({ kind: 'Corrupt', code: 'authentication' });
    expect(await tableOf(memory, 'name_index')).toEqual(before);
  });

  it('is read as far as a listing goes, and no further', async () => {
    const count = SLOW ? 100_000 : 5_000;
    const memory = createMemoryEngine();
    const context = await vaultOn(memory);
    await pointAll(context, numbered(count, 'p/'));
    const { engine, reads } = countingReads(memory);
    const some = await listed({ ...context, engine }, { prefix: 'p/0', after: 'p/000900', limit: 100 });
    expect(some).toEqual(sorted(numbered(count, 'p/')).slice(901, 1001));
    expect([...reads.keys()]).toEqual(['get name_index']);
    // The state (two), the way down, and pages that are at least a quarter full.
    const depth = Math.ceil(Math.log(count) / Math.log(16));
    expect(reads.get('get name_index')).toBeLessThanOrEqual(2 + depth + 100 / 16 + 1);
    reads.clear();
    const groups = await listed({ ...context, engine }, { delimiter: '/' });
    expect(groups).toEqual(['p/']);
    expect(reads.get('get name_index')).toBeLessThanOrEqual(2 + 2 * depth);
  });
});
