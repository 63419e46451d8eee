import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../src/catalog/catalog.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { newWorld, Probed } from './world.ts';

const MIB = 1024 ** 2;
const stored = (bytes = MIB, elapsedMs = 100): Outcome => ({ type: 'stored', bytes, elapsedMs, rttMs: 10 });

describe('what is stored', () => {
  it('is written by a flush only, never by a report', async () => {
    const world = newWorld();
    const catalog = await world.open([new Probed('a')]);
    const count = async (): Promise<number> => {
      let entries = 0;
      for await (const _ of world.engine.table('provider_profiles').entries()) entries++;
      return entries;
    };
    for (let i = 0; i < 100; i++) catalog.report('a', stored());
    expect(await count()).toBe(0);
    await catalog.close();
    expect(await count()).toBe(1);
    expect((await world.open([new Probed('a')])).snapshot()).toEqual(catalog.snapshot());
  });

  it.each(['provider_profiles', 'provider_usage'])(
    'is kept for the next flush when %s fails',
    async (failing) => {
      const world = newWorld();
      let broken = true;
      const engine: typeof world.engine = {
        ...world.engine,
        table: (name) => world.engine.table(name),
        async batch(ops, ...rest) {
          if (broken && ops.some(({ table }) => table === failing))
            throw new HoldfastError('QuotaExceeded', 'full');
          return world.engine.batch(ops, ...rest);
        },
      };
      const catalog = await world.open([new Probed('a')], { engine });
      for (let i = 0; i < 2; i++) {
        catalog.report('a', stored());
        await expect(catalog.flush()).rejects.toMatchObject({ kind: 'QuotaExceeded' });
      }
      const seen = { usedBytes: 2 * MIB, totalChunks: 2 };
      expect(catalog.snapshot()[0]).toMatchObject(seen);
      broken = false;
      await catalog.flush();
      await catalog.flush();
      expect(catalog.snapshot()[0]).toMatchObject(seen);
      expect((await world.open([new Probed('a')])).snapshot()[0]).toMatchObject(seen);
    },
  );

  it('is bounded when nothing flushes, but for the bytes, which are one sum', async () => {
    const world = newWorld();
    const catalog = await world.open([new Probed('a')]);
    for (let i = 0; i < 3000; i++) catalog.report('a', stored());
    await catalog.flush();
    expect((await world.open([new Probed('a')])).snapshot()[0]).toMatchObject({
      usedBytes: 3000 * MIB,
      totalChunks: 1024,
    });
  });

  it('keeps what is reported while a flush is under way', async () => {
    const world = newWorld();
    const catalog = await world.open([new Probed('a')]);
    catalog.report('a', stored());
    const flushing = catalog.flush();
    catalog.report('a', stored());
    await flushing;
    expect(catalog.snapshot()[0]).toMatchObject({ totalChunks: 2, usedBytes: 2 * MIB });
    await catalog.flush();
    expect((await world.open([new Probed('a')])).snapshot()[0]).toMatchObject({
      totalChunks: 2,
      usedBytes: 2 * MIB,
    });
  });
});
