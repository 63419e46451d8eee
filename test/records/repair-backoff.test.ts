import { expect, it } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import { createMemoryEngine, type Engine } from '../../src/engine/index.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { backOff, backoffOf, backoffs, repairedOps } from '../../src/records/repair-backoff.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import { fixedRandom } from '../helpers/fixed-random.ts';
import { noise, testVault } from '../helpers/vault.ts';

const MANIFEST = addressOf(new Uint8Array(32).fill(7));
const OTHER = addressOf(new Uint8Array(32).fill(8));

const parts = async (random = fixedRandom('backoff')) => {
  const engine = createMemoryEngine();
  for (const manifest of [MANIFEST, OTHER])
    await engine.table('manifest_times').put(manifest, Buffer.from('1'));
  return { engine, clock: new FakeClock(), random };
};
const all = async (context: { readonly engine: Engine }, damaged: string[] = []) => {
  const found = [];
  for await (const one of backoffs(context, { onDamaged: (key) => void damaged.push(key) })) found.push(one);
  return found;
};

it('a chunk that could not be repaired waits a minute, and twice as long each time up to six hours', async () => {
  const context = await parts(() => new Uint8Array(1));
  const waits: number[] = [];
  for (let i = 0; i < 12; i++) {
    const { nextMs, attempts } = await backOff(context, MANIFEST, 3, 'late');
    expect(attempts).toBe(i + 1);
    waits.push((nextMs - context.clock.now()) / 60_000);
  }
  expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]);
});

it('chunks that failed together do not come back together, nor later than they should', async () => {
  const context = await parts();
  const times = new Set<number>();
  for (let chunk = 0; chunk < 50; chunk++) {
    const waitMs = (await backOff(context, MANIFEST, chunk, 'late')).nextMs - context.clock.now();
    expect(waitMs).toBeGreaterThanOrEqual(45_000);
    expect(waitMs).toBeLessThanOrEqual(60_000);
    times.add(waitMs);
  }
  expect(times.size).toBeGreaterThan(20);
});

it('stands in the way of that chunk alone, until its time has come or it was repaired', async () => {
  const context = await parts();
  await backOff(context, MANIFEST, 3, 'x'.repeat(1000));
  expect(await backoffOf(context, MANIFEST, 3)).toMatchObject({ attempts: 1, error: 'x'.repeat(300) });
  expect(await backoffOf(context, MANIFEST, 4)).toBeUndefined();
  expect(await backoffOf(context, OTHER, 3)).toBeUndefined();
  context.clock.move(60_000);
  expect(await backoffOf(context, MANIFEST, 3)).toBeUndefined();
  expect((await backOff(context, MANIFEST, 3, 'again')).attempts).toBe(2);
  await context.engine.batch(repairedOps(MANIFEST, [3, 4]));
  expect(await all(context)).toEqual([]);
  expect((await backOff(context, MANIFEST, 3, 'anew')).attempts).toBe(1);
});

it('does not wait for a time that a clock wrote which was ahead', async () => {
  const context = await parts();
  context.clock.jump = 10 * 86_400_000;
  await backOff(context, MANIFEST, 3, 'late');
  expect(await backoffOf(context, MANIFEST, 3)).toBeDefined();
  context.clock.jump = 0;
  expect(await backoffOf(context, MANIFEST, 3)).toBeUndefined();
});

it('lists what is put off by manifest and chunk, and tells of what it cannot read', async () => {
  const context = await parts();
  for (const [manifest, chunk] of [
    [OTHER, 1],
    [MANIFEST, 10],
    [MANIFEST, 9],
  ] as const)
    await backOff(context, manifest, chunk, 'late');
  await context.engine.table('repair_backoff').put('nonsense', new Uint8Array(3));
  const damaged: string[] = [];
  expect((await all(context, damaged)).map(({ manifest, chunk }) => [manifest, chunk])).toEqual([
    [MANIFEST, 9],
    [MANIFEST, 10],
    [OTHER, 1],
  ]);
  expect(damaged).toEqual(['nonsense']);
});

it('reads what version 1 wrote', async () => {
  const context = await parts();
  const key = `${MANIFEST}/0000000003`;
  const record = '{"v":1,"attempts":2,"next":1700000100000,"error":"late"}';
  await context.engine.table('repair_backoff').put(key, Buffer.from(record));
  const read = { manifest: MANIFEST, chunk: 3, attempts: 2, nextMs: 1_700_000_100_000, error: 'late' };
  expect(await backoffOf(context, MANIFEST, 3)).toEqual(read);
  await context.engine.batch(repairedOps(MANIFEST, [3]));
  const { nextMs } = await backOff(context, MANIFEST, 3, 'late');
  const stored = await context.engine.table('repair_backoff').get(key);
  expect(Buffer.from(stored!).toString()).toBe(`{"v":1,"attempts":1,"next":${nextMs},"error":"late"}`);
});

it('goes with the manifest when that is forgotten', async () => {
  const { context } = await testVault();
  const { manifest } = await putObject(context, noise(1000), { name: 'a' });
  for (let chunk = 0; chunk < 20; chunk++) await backOff(context, manifest, chunk, 'late');
  const { manifest: other } = await putObject(context, noise(1000), { name: 'b' });
  await backOff(context, other, 1, 'late');
  await deleteObject(context, 'a');
  expect((await all(context)).map((one) => one.manifest)).toEqual([other]);
  await backOff(context, manifest, 1, 'late');
  expect((await all(context)).map((one) => one.manifest)).toEqual([other]);
});
