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
  const real = prototype.batch as (...args: unknown[]) => unknown;
  prototype.batch = function noted(this: unknown, ops: { type: string }[], options: { sync?: boolean }) {
    flushed.push(`${ops.map(({ type }) => type).join(' ')} ${options.sync}`);
    return real.call(this, ops, options);
  };
  // It was inherited.
  onTestFinished(() => void delete prototype.batch);
  const engine = createLevelEngine({ location, clock, lockWaitMs: 1000, idleReleaseMs: 1000 });
  const table = engine.table('t');
  const one = Uint8Array.of(1);
  for (const options of [{ sync: true }, {}]) {
    await table.put('a', one, options);
    await table.delete('a', options);
    await table.compareAndSet('a', undefined, one, options);
    await table.compareAndSet('a', one, undefined, options);
    const both = [
      { table: 't', key: 'a', value: one },
      { table: 'u', key: 'b', value: undefined },
    ];
    expect(await engine.batch(both, [{ table: 't', key: 'a', expected: undefined }], options)).toBe(true);
    expect(await engine.batch(both, [{ table: 't', key: 'a', expected: undefined }], options)).toBe(false);
    await table.delete('a', options);
  }
  const each = ['put', 'del', 'put', 'del', 'put del', 'del'];
  expect(flushed).toEqual([...each.map((call) => `${call} true`), ...each.map((call) => `${call} false`)]);
  await engine.close();
  await rm(location, { recursive: true });
});

it('after a write that failed the database is opened anew before anything else is done', async () => {
  const location = await mkdtemp(join(tmpdir(), 'holdfast-failed-'));
  const prototype = Level.prototype as unknown as Record<string, unknown>;
  const done: string[] = [];
  for (const call of ['batch', 'open', 'close'] as const) {
    const real = prototype[call] as (...args: unknown[]) => unknown;
    prototype[call] = function noted(this: unknown, ...args: unknown[]) {
      const failing = call === 'batch' && !done.includes('batch');
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
  expect(done.filter((call, i) => call !== done[i - 1])).toEqual(['open', 'batch', 'close', 'open', 'batch']);
  await engine.close();
  await rm(location, { recursive: true });
});

it('nothing is acknowledged that was written behind a write that failed: a torn record would hide it', async () => {
  const location = await mkdtemp(join(tmpdir(), 'holdfast-behind-'));
  const prototype = Level.prototype as unknown as Record<string, unknown>;
  const real = prototype.batch as (...args: unknown[]) => unknown;
  const steps: number[] = [];
  const databases: unknown[] = [];
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  prototype.batch = async function noted(this: unknown, ops: unknown[], options: unknown) {
    databases.push(this);
    if (steps.push(ops.length) !== 2) return real.call(this, ops, options);
    await released;
    throw Object.assign(new Error('IO error'), { code: 'LEVEL_IO_ERROR' });
  };
  onTestFinished(() => void delete prototype.batch);
  const engine = createLevelEngine({ location, clock, lockWaitMs: 1000, idleReleaseMs: 60_000 });
  const table = engine.table('t');
  const put = (key: string): Promise<string> =>
    table.put(key, Uint8Array.of(1), { sync: key !== 'b' }).then(
      () => 'done',
      ({ code }) => code,
    );
  const first = put('a');
  while (steps.length === 0) await new Promise(setImmediate);
  const together = [put('b'), put('c')];
  while (steps.length === 1) await new Promise(setImmediate);
  const behind = put('d');
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  release();
  expect(await first).toBe('done');
  expect(await Promise.all(together)).toEqual(['engine_io', 'engine_io']);
  // Either it waited for the failed one, or it came to the database that was opened anew.
  const last = await behind;
  expect((await table.get('d')) !== undefined).toBe(last === 'done');
  expect(await put('e')).toBe('done');
  expect(steps.slice(0, 2)).toEqual([1, 2]);
  expect(databases.slice(2)).not.toContain(databases[1]);
  await engine.close();
  await rm(location, { recursive: true });
});
