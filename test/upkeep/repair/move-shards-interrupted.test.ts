import { describe, expect, it } from 'vitest';
import { getObject } from '../../../src/pipeline/get/get.ts';
import { deleteObject } from '../../../src/upkeep/delete.ts';
import { scrubProviders } from '../../../src/upkeep/gc.ts';
import { verifyObject } from '../../../src/upkeep/verify.ts';
import { aroundWrites } from '../../helpers/engine.ts';
import { allBlobs } from '../../helpers/faulty.ts';
import { keysIn, placeNow, type StoredSegment, shardsAt } from '../../helpers/moving.ts';
import { away, isWhole, move, tidy, type Wanted, type World, world } from '../../helpers/moving-shards.ts';
import { noise, readAll } from '../../helpers/vault.ts';

it('an object that is removed while shards of it are moved is gone, and all that was stored meanwhile', async () => {
  const its = await world();
  let removed: Promise<unknown> | undefined;
  its.watch.before = async (call) => {
    if (call !== 'store' || removed !== undefined) return;
    removed = deleteObject(its.context, 'x');
    await removed;
  };
  await expect(move(its, away('p1', 'p10'))).rejects.toMatchObject({ kind: 'NotFound' });
  its.watch.before = () => {};
  await tidy(its);
  expect(await allBlobs(its.vault)).toEqual([]);
  for (const table of ['moves', 'relocations', 'open_moves', 'repair_leases', 'trash', 'damage'])
    expect(await keysIn(its.context, table)).toEqual([]);
});

it('of two workers at one segment the one whose lease was taken over changes nothing', async () => {
  const its = await world();
  const second = { ...its, context: { ...its.context, owner: async () => 'second' } };
  const first = { ...its, context: { ...its.context, owner: async () => 'first' } };
  let isTaken = false;
  its.watch.before = async (call) => {
    if (call !== 'store' || isTaken) return;
    isTaken = true;
    its.dead.add('first');
    await move(second, away('p1', 'p10'));
  };
  await expect(move(first, away('p1', 'p2'))).rejects.toMatchObject({ code: 'segment_leased' });
  its.watch.before = () => {};
  const [segment] = await its.now();
  expect(shardsAt(segment!, 'p1')).toEqual([]);
  expect(shardsAt(segment!, 'p10').length).toBeGreaterThan(0);
  await tidy(its);
  await isWhole(its);
});

/** Every call to a provider, and every write, is one at which the worker may die. */
describe('a worker that is killed', () => {
  const killed = async (
    wanted: (its: World) => Promise<(segment: StoredSegment) => Wanted>,
  ): Promise<number> => {
    for (let left = 0; ; left++) {
      const its = await world(noise(200_000));
      const goal = await wanted(its);
      let calls = 0;
      let isDead = false;
      const step = (): void => {
        if (isDead || calls++ === left) {
          isDead = true;
          throw new Error('killed');
        }
      };
      const engine = aroundWrites(its.context.engine, async (_, work) => {
        step();
        return work();
      });
      its.watch.before = step;
      const context = { ...its.context, engine, owner: async () => 'worker' };
      const ended = await move({ context, now: its.now }, goal).then(
        () => true,
        () => false,
      );
      its.watch.before = () => {};
      if (ended) {
        await tidy(its);
        await isWhole(its);
        return left;
      }
      its.dead.add('worker');
      await tidy(its);
      expect(Buffer.compare(await readAll(await getObject(its.context, 'x')), its.content)).toBe(0);
      await move(its, goal);
      await tidy(its);
      await tidy(its);
      for (const segment of await its.now()) {
        for (const [at, provider] of goal(segment).moves)
          expect(placeNow(segment, at).provider).toBe(provider);
      }
      expect(await keysIn(its.context, 'open_moves')).toEqual([]);
      expect(await verifyObject(its.context, 'x')).toMatchObject({ intact: true });
      const scrub = await scrubProviders(its.context, { minAgeMs: 0, dryRun: true });
      expect(Math.max(...scrub.providers.map(({ orphans }) => orphans))).toBe(0);
    }
  };

  it('at any step of an evacuation leaves the old or the new, and nothing else', async () => {
    expect(await killed(async () => away('p1', 'p10'))).toBeGreaterThan(5);
  }, 60_000);

  it('at any step of storing a pack anew leaves what can be done again, and nothing else', async () => {
    const steps = await killed(async (its) => {
      const [segment] = await its.now();
      const { provider, address } = placeNow(segment!, 0);
      await its.vault.providers.find(({ id }) => id === provider)!.adapter.delete(address);
      const mine = shardsAt(segment!, provider);
      return () => ({ moves: new Map(mine.map((at) => [at, provider])), lost: new Set(mine) });
    });
    expect(steps).toBeGreaterThan(5);
  }, 60_000);
});
