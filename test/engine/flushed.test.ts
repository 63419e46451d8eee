import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Level } from 'level';
import { expect, it, onTestFinished } from 'vitest';
import { systemClock as clock } from '../../src/core/clock.ts';
import { createLevelEngine } from '../../src/engine/index.ts';

it('what is to outlive a power cut is flushed by LevelDB before it is acknowledged, and nothing else', async () => {
  const location = await mkdtemp(join(tmpdir(), 'holdfast-flushed-'));
  const flushed: string[] = [];
  const prototype = Level.prototype as unknown as Record<string, unknown>;
  for (const call of ['put', 'del'] as const) {
    const real = prototype[call] as (...args: unknown[]) => unknown;
    prototype[call] = function noted(this: unknown, ...args: unknown[]) {
      flushed.push(`${call} ${(args.at(-1) as { sync?: boolean }).sync}`);
      return real.apply(this, args);
    };
    // It was inherited.
    onTestFinished(() => void delete prototype[call]);
  }
  const engine = createLevelEngine({ location, clock, lockWaitMs: 1000, idleReleaseMs: 1000 });
  const table = engine.table('t');
  const one = Uint8Array.of(1);
  for (const options of [{ sync: true }, {}]) {
    await table.put('a', one, options);
    await table.delete('a', options);
    await table.compareAndSet('a', undefined, one, options);
    await table.compareAndSet('a', one, undefined, options);
  }
  const each = ['put', 'del', 'put', 'del'];
  expect(flushed).toEqual([...each.map((call) => `${call} true`), ...each.map((call) => `${call} false`)]);
  await engine.close();
  await rm(location, { recursive: true });
});

it('after a write that failed the database is opened anew before anything else is done', async () => {
  const location = await mkdtemp(join(tmpdir(), 'holdfast-failed-'));
  const prototype = Level.prototype as unknown as Record<string, unknown>;
  const done: string[] = [];
  for (const call of ['put', 'open', 'close'] as const) {
    const real = prototype[call] as (...args: unknown[]) => unknown;
    prototype[call] = function noted(this: unknown, ...args: unknown[]) {
      const failing = call === 'put' && !done.includes('put');
      done.push(call);
      if (failing) return Promise.reject(Object.assign(new Error('IO error'), { code: 'LEVEL_IO_ERROR' }));
      return real.apply(this, args);
    };
    onTestFinished(() => void delete prototype[call]);
  }
  const engine = createLevelEngine({ location, clock, lockWaitMs: 1000, idleReleaseMs: 60_000 });
  const table = engine.table('t');
  await expect(table.put('a', Uint8Array.of(1))).rejects.toMatchObject({ name: 'HoldfastError' });
  await table.put('a', Uint8Array.of(2));
  expect(done.filter((call, i) => call !== done[i - 1])).toEqual(['open', 'put', 'close', 'open', 'put']);
  await engine.close();
  await rm(location, { recursive: true });
});
