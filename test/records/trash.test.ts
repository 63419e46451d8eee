import { expect, it } from 'vitest';
import { u64, utf8Decode, utf8Encode } from '../../src/core/bytes.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { SETTLE_MS } from '../../src/records/claims.ts';
import { deleteOrQueue, queueDeletes } from '../../src/records/deletes.ts';
import { PutJournal } from '../../src/records/journal.ts';
import { emptyTrash } from '../../src/records/trash.ts';
import { alive, blobAt, blobsAt, dead, statesOf, store, trashOf, world } from '../helpers/deleting.ts';
import { aroundWrites, touches } from '../helpers/engine.ts';
import { allBlobs } from '../helpers/faulty.ts';

it('deletes wait for nobody who stands still while others get on; what is left there is queued', async () => {
  const { context, told, time } = await world({ p3: 'hang' });
  const its = blobsAt('p3', 20);
  const blobs = [...its, ...blobsAt('p1', 20), ...blobsAt('p2', 20)];
  expect(await deleteOrQueue(context, blobs)).toBe(20);
  expect(await trashOf(context)).toEqual(its.map(({ address }) => `p3/${address}`).sort());
  told.p3 = 'work';
  expect((await emptyTrash(context, alive)).left).toBe(20);
  context.directory.heard('p3');
  expect((await emptyTrash(context, alive)).left).toBe(0);
  time.ms += SETTLE_MS;
  expect((await emptyTrash(context, alive)).left).toBe(0);
  expect(await trashOf(context)).toEqual([]);
});

it('deletes wait for everybody while nobody gets on, until they are told to stop', async () => {
  const { context } = await world({ p1: 'hang', p2: 'hang' });
  const blobs = [...blobsAt('p1', 2), ...blobsAt('p2', 2)];
  const started = performance.now();
  expect(await deleteOrQueue(context, blobs, { signal: AbortSignal.timeout(1_500) })).toBe(4);
  expect(performance.now() - started).toBeGreaterThan(1_400);
});

it('deletes do not ask who is known not to answer, and do not let the others’ queue wait behind its own', async () => {
  const { context: plain, asked } = await world({ p1: 'hang' });
  const context = { ...plain, directory: { ...plain.directory, isResponsive: (id: string) => id !== 'p1' } };
  await queueDeletes(context, [...blobsAt('p1', 600), ...blobsAt('p2', 3)]);
  await emptyTrash(context, alive);
  expect(asked.map((place) => place.slice(0, 2))).toEqual(['p2', 'p2', 'p2']);
  const left = await trashOf(context);
  expect(left).toHaveLength(600);
  expect(left.every((key) => key.startsWith('p1/'))).toBe(true);
});

it('one look tells that nothing is queued, however many providers there are', async () => {
  const { context } = await world();
  const table = context.engine.table('trash');
  const entries = table.entries.bind(table);
  let looks = 0;
  table.entries = (options) => {
    looks++;
    return entries(options);
  };
  expect((await emptyTrash(context, alive)).left).toBe(0);
  expect(looks).toBe(1);
});

it('of a queue that is longer than one look every blob has its turn', async () => {
  const { context } = await world();
  await queueDeletes(context, blobsAt('p1', 300));
  for (let round = 0; round < 3; round++) await emptyTrash(context, alive);
  expect(await trashOf(context)).toEqual([]);
});

it('a blob is claimed, flushed, before its delete leaves, and free once that was answered', async () => {
  const { vault, context: plain, told } = await world();
  const writes: { sync: boolean; states: string[] }[] = [];
  const engine = aroundWrites(plain.engine, async (write, work) => {
    if (touches(write, 'trash')) {
      const states = write.ops.map(({ value }) => (value ? JSON.parse(utf8Decode(value)).state : 'free'));
      writes.push({ sync: write.sync, states });
    }
    return work();
  });
  const context = { ...plain, engine };
  const blob = blobAt('p1', 0);
  const seen: string[][] = [];
  const { adapter } = context.directory.get('p1')!;
  const inner = adapter.delete;
  Object.assign(adapter, {
    delete: async (...given: Parameters<typeof inner>) => {
      seen.push(await statesOf(context));
      return inner(...given);
    },
  });
  await deleteOrQueue(context, [blob]);
  expect(seen).toEqual([['deleting']]);
  expect(writes).toEqual([
    { sync: true, states: ['deleting'] },
    { sync: false, states: ['free'] },
  ]);
  told.p1 = 'refuse';
  expect(await deleteOrQueue(context, [blob])).toBe(1);
  expect(await statesOf(context)).toEqual(['queued']);
  expect(await allBlobs(vault)).toEqual([]);
});

it('a delete of unknown outcome keeps its place claimed until one that was sent long after was answered', async () => {
  const { vault, context, told, late, asked, time } = await world({ p1: 'lose' });
  const blobs = blobsAt('p1', 1);
  await store(context, blobs);
  expect(await deleteOrQueue(context, blobs)).toBe(1);
  expect(await statesOf(context)).toEqual(['unsettled']);
  told.p1 = 'work';
  // At once, so that the blob is gone; but that says nothing about the first.
  time.ms += 1_000;
  expect((await emptyTrash(context, alive)).left).toBe(0);
  expect([await allBlobs(vault), await statesOf(context)]).toEqual([[], ['unsettled']]);
  await emptyTrash(context, alive);
  expect(asked).toHaveLength(2);
  // What was claimed by one is not deleted by another beside it.
  expect(await deleteOrQueue(context, blobs)).toBe(1);
  expect(asked).toHaveLength(2);
  await late[0]!();
  time.ms += SETTLE_MS;
  expect((await emptyTrash(context, alive)).left).toBe(0);
  expect(asked).toHaveLength(3);
  expect(await trashOf(context)).toEqual([]);
});

it('one that is never answered is sent again and again, and its place is never free', async () => {
  const { context, time, asked } = await world({ p1: 'lose' });
  await deleteOrQueue(context, blobsAt('p1', 1));
  for (let round = 0; round < 5; round++) {
    time.ms += 2 * SETTLE_MS;
    expect((await emptyTrash(context, alive)).left).toBe(1);
  }
  expect(asked).toHaveLength(6);
  expect(await statesOf(context)).toEqual(['unsettled']);
});

it('what an owner claimed who is gone is deleted again at once, and once more when it is settled', async () => {
  const { vault, context, time, asked } = await world();
  const blobs = blobsAt('p1', 1);
  await store(context, blobs);
  const dying = aroundWrites(context.engine, async (write, work) => {
    if (touches(write, 'trash') && write.ops[0]!.value === undefined) throw new Error('the process is gone');
    return work();
  });
  const owner = async (): Promise<string> => 'another process';
  await deleteOrQueue({ ...context, engine: dying, owner }, blobs).catch(() => {});
  await store(context, blobs);
  await emptyTrash(context, alive);
  expect([asked.length, await statesOf(context)]).toEqual([1, ['deleting']]);
  await emptyTrash(context, dead);
  expect([await allBlobs(vault), await statesOf(context)]).toEqual([[], ['unsettled']]);
  time.ms += SETTLE_MS;
  await emptyTrash(context, dead);
  expect([asked.length, await trashOf(context)]).toEqual([3, []]);
});

it('a claim of this very process that its end could not be written of is taken up again', async () => {
  const { context, asked, time } = await world();
  let full = true;
  const engine = aroundWrites(context.engine, async (write, work) => {
    if (full && touches(write, 'trash') && write.ops[0]!.value === undefined) throw new Error('ENOSPC');
    return work();
  });
  await expect(deleteOrQueue({ ...context, engine }, blobsAt('p1', 1))).rejects.toThrow('ENOSPC');
  full = false;
  await emptyTrash({ ...context, engine }, alive);
  time.ms += SETTLE_MS;
  await emptyTrash({ ...context, engine }, alive);
  expect([asked.length, await trashOf(context)]).toEqual([3, []]);
});

it('entries of version 1 are read; damaged ones are deleted as what nobody knows about, and what names no place stays', async () => {
  const { vault, context, time } = await world();
  const blobs = blobsAt('p1', 2);
  await store(context, blobs);
  const table = context.engine.table('trash');
  await table.put(`p1/${blobs[0]!.address}`, u64(77));
  await table.put(`p1/${blobs[1]!.address}`, utf8Encode('{"v":2,"state":"que'));
  await table.put('p1/no address', u64(1));
  const { poison } = await emptyTrash(context, alive);
  expect(poison.keys.toSorted()).toEqual([`p1/${blobs[1]!.address}`, 'p1/no address']);
  expect(await statesOf(context)).toEqual(['unsettled', 'version 1']);
  await emptyTrash(context, alive);
  expect(await allBlobs(vault)).toEqual([]);
  time.ms += SETTLE_MS;
  await emptyTrash(context, alive);
  expect(await trashOf(context)).toEqual(['p1/no address']);
});

it('a clock that was ahead blocks no place for longer than one that was right', async () => {
  const { context, told, time } = await world({ p1: 'lose' });
  time.ms += 10 * 365 * 86_400_000;
  await deleteOrQueue(context, blobsAt('p1', 1));
  time.ms -= 10 * 365 * 86_400_000;
  told.p1 = 'work';
  await emptyTrash(context, alive);
  time.ms += SETTLE_MS;
  await emptyTrash(context, alive);
  expect(await trashOf(context)).toEqual([]);
});

it('nothing is sent while too few providers say that the state is the latest', async () => {
  const { vault, context, asked } = await world();
  await queueDeletes(context, blobsAt('p9', 1));
  for (const { id } of vault.providers.slice(0, 6)) {
    const { adapter } = context.directory.get(id)!;
    Object.assign(adapter, { readSlot: () => Promise.reject(new HoldfastError('Unavailable', 'gone')) });
  }
  expect((await emptyTrash(context, alive)).left).toBe(1);
  expect([asked, await statesOf(context)]).toEqual([[], ['queued']]);
});

it('nothing is sent for what a journal speaks for', async () => {
  const { context, asked } = await world();
  const blob = blobAt('p1', 0);
  const journal = await PutJournal.begin(context, undefined);
  await journal.intend('p1', blob.address);
  await queueDeletes(context, [blob]);
  await emptyTrash(context, alive);
  expect(asked).toEqual([]);
  await journal.end();
  await emptyTrash(context, alive);
  expect(asked).toHaveLength(1);
});
