import { describe, expect, it } from 'vitest';
import { isHoldfastError } from '../../src/core/errors.ts';
import { abandonPacks } from '../../src/records/dead-moves.ts';
import { intendPacks } from '../../src/records/moves.ts';
import { leaseSegment, releaseSegment } from '../../src/records/repair-leases.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { createRetention } from '../../src/upkeep/retention.ts';
import { aroundWrites, touches } from '../helpers/engine.ts';
import { allBlobs } from '../helpers/faulty.ts';
import { copyOver, keysIn, packAt, toStore } from '../helpers/moving.ts';
import { intend, nothingOpen, record, tidy, world } from '../helpers/one-pack.ts';
import { noise } from '../helpers/vault.ts';

describe('an object that is removed while shards of it are moved', () => {
  const removed = async (was?: 'named') => {
    const its = await world();
    const at = await its.now();
    const lease = await leaseSegment(its.context, at.segment);
    const to = was === undefined ? 'p4' : 'p1';
    const { intents } = await intendPacks(its.context, at, [{ ...toStore(packAt(at, 'p1'), to), was }]);
    await deleteObject(its.context, 'x');
    return { its, at, lease, intent: intents[0]! };
  };

  it('goes whole: what is stored after that is deleted by whoever stored it', async () => {
    const { its, at, lease, intent } = await removed();
    await its.context.directory.get('p4')!.adapter.store(intent.pack.address, [noise(10)]);
    await expect(record(its, at, lease, [intent], 'p1')).rejects.toMatchObject({ kind: 'NotFound' });
    await abandonPacks(its.context, [intent], new Set());
    await releaseSegment(its.context, lease);
    await tidy(its);
    expect(await allBlobs(its.vault)).toEqual([]);
    expect(await keysIn(its.context, 'moves')).toEqual([]);
    await nothingOpen(its);
  });

  it('goes whole also where a pack was being stored anew in its own place', async () => {
    const { its, lease, intent } = await removed('named');
    expect(await allBlobs(its.vault)).toEqual([`p1/${intent.pack.address}`]);
    await abandonPacks(its.context, [intent], new Set());
    await releaseSegment(its.context, lease);
    await tidy(its);
    expect(await allBlobs(its.vault)).toEqual([]);
    await nothingOpen(its);
  });

  it('is stored no more of from the moment at which that begins', async () => {
    const its = await world();
    const at = await its.now();
    const again = { ...toStore(packAt(at, 'p1'), 'p1'), was: 'named' as const };
    const refused: unknown[] = [];
    const engine = aroundWrites(its.context.engine, async (write, work) => {
      const done = await work();
      if (touches(write, 'trash')) await intendPacks(its.context, at, [again]).catch((e) => refused.push(e));
      return done;
    });
    const context = { ...its.context, engine };
    await deleteObject({ ...context, retention: createRetention(context, 0) }, 'x');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.every((error) => isHoldfastError(error, 'NotFound'))).toBe(true);
    expect(await keysIn(its.context, 'moves')).toEqual([]);
    expect(await keysIn(its.context, 'ending')).toEqual([]);
  });

  it('goes whole also where the move was recorded just before it was deleted', async () => {
    const its = await world();
    const at = await its.now();
    const lease = await leaseSegment(its.context, at.segment);
    const intent = await intend(its, at, 'p1', 'p4');
    await copyOver(its.context, 'p1', intent);
    let isRecorded = false;
    const engine = aroundWrites(its.context.engine, async (write, work) => {
      if (touches(write, 'ending') && !isRecorded) await record(its, at, lease, [intent], 'p1');
      isRecorded ||= touches(write, 'ending');
      return work();
    });
    const context = { ...its.context, engine };
    await deleteObject({ ...context, retention: createRetention(context, 0) }, 'x');
    expect(isRecorded).toBe(true);
    await releaseSegment(its.context, lease);
    await tidy(its, 60_000);
    expect(await allBlobs(its.vault)).toEqual([]);
    for (const table of ['moves', 'relocations']) expect(await keysIn(its.context, table)).toEqual([]);
    await nothingOpen(its);
  });
});
