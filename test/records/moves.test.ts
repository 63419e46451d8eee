import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/core/errors.ts';
import { abandonPacks } from '../../src/records/dead-moves.ts';
import { deleteOrQueue, queueDeletes } from '../../src/records/deletes.ts';
import { intendPacks } from '../../src/records/moves.ts';
import { leaseSegment, releaseSegment } from '../../src/records/repair-leases.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { scrubProviders } from '../../src/upkeep/gc.ts';
import { allBlobs } from '../helpers/faulty.ts';
import { copyOver, keysIn, packAt, rowsOf, toStore } from '../helpers/moving.ts';
import { intend, isWhole, move, nothingOpen, record, tidy, world } from '../helpers/one-pack.ts';
import { rottenEngine } from '../helpers/rotten-engine.ts';

describe('a pack that is moved', () => {
  it('is where it was and where it goes until the grace is over, then only there, and is counted once', async () => {
    const its = await world();
    const { context, manifest, vault } = its;
    const { address, length } = packAt(await its.now(), 'p1');
    await move(its, 'p1', 'p4');
    expect((await rowsOf(context, 'manifest_usage'))[manifest]?.bytes).toMatchObject({ p4: length });
    expect((await rowsOf(context, 'manifest_usage'))[manifest]?.bytes).not.toHaveProperty('p1');
    await tidy(its, 59_999);
    expect(await allBlobs(vault)).toEqual([...its.before, `p4/${address}`].sort());
    await isWhole(its);
    const deleted: unknown[] = [];
    const directory = { ...context.directory, deleted: (...given: unknown[]) => void deleted.push(given) };
    await tidy({ ...its, context: { ...context, directory } }, 1);
    expect(deleted).toEqual([['p1', length]]);
    expect(await allBlobs(vault)).toEqual(
      its.before.map((blob) => (blob === `p1/${address}` ? `p4/${address}` : blob)).sort(),
    );
    await isWhole(its);
    await nothingOpen(its);
    expect(await rowsOf(context, 'moves')).toMatchObject({ [`p4/${address}`]: { state: 'recorded' } });
  });

  it('may come back, before it is gone and after', async () => {
    for (const passMs of [0, 60_000]) {
      const its = await world();
      await move(its, 'p1', 'p4');
      await tidy(its, passMs);
      await move(its, 'p4', 'p1');
      await tidy(its, 60_000);
      expect(await allBlobs(its.vault)).toEqual(its.before);
      await isWhole(its);
      await nothingOpen(its);
    }
  });

  it('is not counted twice where it comes back before it is gone, nor where that is given up', async () => {
    const its = await world();
    const { address, length } = packAt(await its.now(), 'p1');
    await move(its, 'p1', 'p4');
    const at = await its.now();
    const back = await intend(its, at, 'p4', 'p1');
    const anew = await intend(its, at, 'p4', 'p5');
    expect([back.isCounted, anew.isCounted]).toEqual([true, false]);
    await abandonPacks(its.context, [back, anew], new Set());
    expect(await rowsOf(its.context, 'trash')).toMatchObject({
      [`p1/${address}`]: { state: 'queued', bytes: length },
      [`p5/${address}`]: { state: 'queued', bytes: 0 },
    });
    expect((await intend(its, at, 'p4', 'p1')).isCounted).toBe(true);
  });

  it('goes with its object, wherever it is by then', async () => {
    for (const passMs of [0, 60_000]) {
      const its = await world();
      await move(its, 'p1', 'p4');
      await move(its, 'p4', 'p5');
      await tidy(its, passMs);
      await deleteObject(its.context, 'x');
      expect(await allBlobs(its.vault)).toEqual([]);
      for (const table of ['moves', 'relocations']) expect(await keysIn(its.context, table)).toEqual([]);
      await tidy(its, 60_000);
      await nothingOpen(its);
    }
  });

  it('twenty times leaves no more relocations than a reader looks at, and the shards where they went last', async () => {
    const its = await world();
    for (let i = 0; i < 20; i++) {
      await move(its, i % 2 === 0 ? 'p1' : 'p4', i % 2 === 0 ? 'p4' : 'p1');
      await move(its, i % 2 === 0 ? 'p2' : 'p5', i % 2 === 0 ? 'p5' : 'p2');
      expect((await keysIn(its.context, 'relocations')).length).toBeLessThanOrEqual(16);
    }
    await tidy(its, 60_000);
    expect(await allBlobs(its.vault)).toEqual(its.before);
    await isWhole(its);
  });

  it('is told of as moved later than before although the clock went back', async () => {
    const its = await world();
    await move(its, 'p1', 'p4');
    its.time.ms -= 3_600_000;
    await move(its, 'p4', 'p5');
    expect(packAt(await its.now(), 'p5').length).toBeGreaterThan(0);
    await tidy(its, 60_000);
    await isWhole(its);
  });
});

describe('a worker that is killed', () => {
  const steps = ['intended', 'stored', 'recorded'] as const;
  it.each(steps)('when its pack is %s leaves the old or the new, and nothing else', async (step) => {
    const its = await world('worker');
    const at = await its.now();
    const { address } = packAt(at, 'p1');
    const lease = await leaseSegment(its.context, at.segment);
    const intent = await intend(its, at, 'p1', 'p4');
    if (step !== 'intended') await copyOver(its.context, 'p1', intent);
    if (step === 'recorded') await record(its, at, lease, [intent], 'p1');
    const next = { ...its, context: { ...its.context, owner: async () => 'next' } };
    await tidy(next, 60_000);
    const isMoved = step === 'recorded';
    expect((await keysIn(its.context, 'open_moves')).length).toBe(isMoved ? 0 : 1);
    its.ownersGone.add('worker');
    await tidy(next, 60_000);
    const moved = its.before.map((blob) => (blob === `p1/${address}` ? `p4/${address}` : blob)).sort();
    expect(await allBlobs(its.vault)).toEqual(isMoved ? moved : its.before);
    await isWhole(its);
    await releaseSegment(its.context, await leaseSegment(next.context, at.segment));
    await nothingOpen(its);
  });

  it('while it stores a pack anew leaves that where it ought to be', async () => {
    for (const was of ['named', 'recorded'] as const) {
      const its = await world('worker');
      if (was === 'recorded') await move(its, 'p1', 'p4');
      const home = was === 'recorded' ? 'p4' : 'p1';
      await tidy(its, 60_000);
      const before = await allBlobs(its.vault);
      const at = await its.now();
      await intendPacks(its.context, at, [{ ...toStore(packAt(at, home), home), was }]);
      its.ownersGone.add('worker');
      await tidy({ ...its, context: { ...its.context, owner: async () => 'next' } });
      expect(await allBlobs(its.vault)).toEqual(before);
      await isWhole(its);
      expect((await keysIn(its.context, 'moves')).length).toBe(was === 'recorded' ? 1 : 0);
      await nothingOpen(its);
    }
  });
});

describe('a place', () => {
  it('that is queued to be deleted is free again for a pack, and one with a delete on its way is not', async () => {
    const its = await world();
    const at = await its.now();
    const pack = toStore(packAt(at, 'p1'), 'p4');
    await queueDeletes(its.context, [{ ...pack, bytes: 0 }]);
    const { intents } = await intendPacks(its.context, at, [pack]);
    expect(await keysIn(its.context, 'trash')).toEqual([]);
    await abandonPacks(its.context, intents, new Set());
    const lost = new HoldfastError('Timeout', 'no answer');
    const { adapter } = its.context.directory.get('p4')!;
    Object.assign(adapter, { delete: () => Promise.reject(lost) });
    await deleteOrQueue(its.context, [{ ...pack, bytes: 0 }]);
    expect((await rowsOf(its.context, 'trash'))[`p4/${pack.address}`]?.state).toBe('unsettled');
    const { refused } = await intendPacks(its.context, at, [pack]);
    expect(refused).toMatchObject([{ error: { kind: 'Conflict', status: 'temporary' } }]);
  });

  it('where a pack is being stored is not claimed, nor taken for one that nothing leads to', async () => {
    const its = await world();
    const at = await its.now();
    const intent = await intend(its, at, 'p1', 'p4');
    await copyOver(its.context, 'p1', intent);
    expect(await deleteOrQueue(its.context, [{ ...intent.pack, bytes: 0 }])).toBe(1);
    const gc = { minAgeMs: 0 } as const;
    const scrub = async () => (await scrubProviders(its.context, gc)).providers.map((one) => one.orphans);
    expect(Math.max(...(await scrub()))).toBe(0);
    await its.context.engine.table('moves').delete(intent.key);
    expect(Math.max(...(await scrub()))).toBe(1);
  });
});

describe('the right to move shards of a segment', () => {
  it('has one at a time, until it lets go or is gone', async () => {
    const its = await world('first');
    const { segment } = await its.now();
    const second = { ...its.context, owner: async () => 'second' };
    const lease = await leaseSegment(its.context, segment);
    const leased = { kind: 'Conflict', code: 'segment_leased' };
    await expect(leaseSegment(second, segment)).rejects.toMatchObject(leased);
    await expect(leaseSegment(its.context, segment)).rejects.toMatchObject(leased);
    await releaseSegment(its.context, lease);
    await leaseSegment(second, segment);
    its.ownersGone.add('second');
    await leaseSegment(its.context, segment);
    await tidy(its);
    expect(await keysIn(its.context, 'repair_leases')).toEqual([segment]);
    its.ownersGone.add('first');
    await tidy(its);
    await nothingOpen(its);
  });

  it('is taken anew by who could not let go of it, and where its record is damaged', async () => {
    const its = await world('first');
    const { segment } = await its.now();
    const engine = rottenEngine(its.context.engine);
    const context = { ...its.context, engine };
    const lost = {
      ...engine.table('repair_leases'),
      compareAndSet: () => Promise.reject(new Error('no disk')),
    };
    const failing = {
      ...engine,
      table: (name: string) => (name === 'repair_leases' ? lost : engine.table(name)),
    };
    const lease = await leaseSegment(context, segment);
    await expect(releaseSegment({ ...context, engine: failing }, lease)).rejects.toThrow('no disk');
    const second = { ...context, owner: async () => 'second' };
    await expect(leaseSegment(second, segment)).rejects.toMatchObject({ code: 'segment_leased' });
    const anew = await leaseSegment(context, segment);
    await expect(leaseSegment(context, segment)).rejects.toMatchObject({ code: 'segment_leased' });
    engine.rot('repair_leases', segment);
    const over = await leaseSegment(second, segment);
    await releaseSegment(context, anew);
    await releaseSegment(second, over);
    expect(await keysIn(its.context, 'repair_leases')).toEqual([]);
  });

  it('is what recording depends on: who lost it changes nothing', async () => {
    const its = await world('first');
    const at = await its.now();
    const lease = await leaseSegment(its.context, at.segment);
    const intent = await intend(its, at, 'p1', 'p4');
    await copyOver(its.context, 'p1', intent);
    its.ownersGone.add('first');
    await leaseSegment({ ...its.context, owner: async () => 'second' }, at.segment);
    await expect(record(its, at, lease, [intent], 'p1')).rejects.toMatchObject({ code: 'segment_leased' });
    expect(await keysIn(its.context, 'relocations')).toEqual([]);
    await abandonPacks(its.context, [intent], new Set());
    await tidy(its);
    expect(await allBlobs(its.vault)).toEqual(its.before);
    await isWhole(its);
  });
});
