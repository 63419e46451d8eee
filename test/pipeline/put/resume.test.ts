import { type FileHandle, open } from 'node:fs/promises';
import { expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { createMemoryEngine } from '../../../src/engine/index.ts';
import { TABLE_NAMES } from '../../../src/engine/tables.ts';
import { getObject } from '../../../src/pipeline/get/get.ts';
import { putObject } from '../../../src/pipeline/put/put.ts';
import type { PutProgress } from '../../../src/pipeline/put/put-result.ts';
import { sweepJournal } from '../../../src/upkeep/sweep.ts';
import { verifyObject } from '../../../src/upkeep/verify.ts';
import { SLOW } from '../../helpers/cli.ts';
import { touches } from '../../helpers/engine.ts';
import { bytes, CHUNK, HOUR, put, World } from '../../helpers/resuming.ts';
import { indexed, inObjects } from '../../helpers/shard-index.ts';
import { noise, readAll } from '../../helpers/vault.ts';

it('a put that was killed goes on: what is finished is neither encoded nor sent again', async () => {
  const world = await World.create();
  const file = await world.file(bytes);
  await expect(put(world.run(90), file)).rejects.toThrow();
  const encoded = world.sealed.size;
  const finished = (await world.records('resume')).length - 1;
  expect(finished).toBeGreaterThan(1);
  const result = await put(world.run(), file);
  expect(result.begunAnew).toBeUndefined();
  expect(result.resumedBytes).toBeGreaterThanOrEqual(4 * CHUNK);
  expect(result.size).toBe(bytes.length);
  expect([...world.stores.values()].every((times) => times === 1)).toBe(true);
  const again = world.sealed.size - encoded;
  expect(again).toBe(Math.ceil((bytes.length - result.resumedBytes) / CHUNK));
  expect(Buffer.compare(await world.content('x'), Buffer.from(bytes))).toBe(0);
  const verified = await verifyObject(world.vault.context, 'x', { deep: true });
  expect(verified.certificate.live).toEqual(verified.certificate.stored);
  expect(await world.records('resume')).toEqual([]);
  expect(await world.records('journal')).toEqual([]);
  expect(world.misuses).toEqual([]);
  await world.expectNothingLeft();
});

it('a put that goes on has all of its segments in the index of shards, those of the earlier run too', async () => {
  const world = await World.create();
  const { context } = world.vault;
  const file = await world.file(bytes);
  await expect(put(world.run(90), file)).rejects.toThrow();
  expect(await indexed(context)).toEqual([]);
  expect((await put(world.run(), file)).resumedBytes).toBeGreaterThan(0);
  expect(await indexed(context)).toEqual(await inObjects(context));
  expect((await indexed(context)).length).toBeGreaterThan(4);
});

it('every record of a finished segment is flushed with the step that makes it count', async () => {
  const world = await World.create();
  await put(world.run(), await world.file(bytes));
  const writes = world.writes.filter(({ ops }) =>
    ops.some(({ table, value }) => table === 'resume' && value),
  );
  expect(writes.length).toBeGreaterThan(3);
  for (const { sync, preconditions } of writes) {
    expect(sync).toBe(true);
    expect(preconditions.map(({ table }) => table)).toEqual(['journal']);
  }
});

it('nothing is noted of an object of one segment, of one without a name, of a stream, or unasked', async () => {
  const world = await World.create();
  const notes = (): number => world.writes.filter((write) => touches(write, 'resume')).length;
  await put(world.run(), await world.file(bytes.subarray(0, 2 * CHUNK)));
  await put(world.run(), await world.file(bytes), { name: undefined });
  await put(world.run(), await world.file(bytes), { resume: false });
  await putObject(world.run(), new Blob([bytes]), { name: 'y', resume: true });
  expect(notes()).toBe(0);
});

it('a put that died between its last segment and its commit only has to commit', async () => {
  const world = await World.create();
  const file = await world.file(bytes);
  world.dieAt = (write) => touches(write, 'names');
  await expect(put(world.run(), file)).rejects.toThrow();
  const [encoded, sent] = [world.sealed.size, world.stores.size];
  const result = await put(world.run(), file);
  expect(result.resumedBytes).toBe(bytes.length);
  expect(world.sealed.size).toBe(encoded);
  // The nodes above the segments and a root, at no more than all providers each.
  expect(world.stores.size - sent).toBeLessThanOrEqual(9);
  expect(Buffer.compare(await world.content('x'), Buffer.from(bytes))).toBe(0);
  await world.expectNothingLeft();
});

it('over many killed and continued runs with changing files no key and nonce ever see two plaintexts', async () => {
  let [resumed, anew] = [0, 0];
  for (let seed = 1; seed <= (SLOW ? 40 : 4); seed++) {
    const world = await World.create();
    let content = noise(bytes.length + seed, seed);
    const file = await world.file(content);
    for (let round = 0; ; round++) {
      const stores = round === 9 ? Number.POSITIVE_INFINITY : 15 + ((seed * 37 + round * 53) % 45);
      const result = await put(world.run(stores), file).catch(() => undefined);
      if (result !== undefined) {
        if (result.resumedBytes > 0) resumed++;
        break;
      }
      if (round % 3 === 1) {
        if ((await world.records('resume')).length > 0) anew++;
        // A chunk that was encrypted and is not finished: what is finished before it is taken up if nothing tells.
        content = await world.change(content, world.furthest * CHUNK, round % 2 === 1);
      }
    }
    expect(Buffer.compare(await world.content('x'), Buffer.from(content))).toBe(0);
    expect(world.misuses).toEqual([]);
    // What is compared are the plaintexts, and no two chunks have the same.
    expect(new Set(world.sealed.values()).size).toBeGreaterThan(bytes.length / CHUNK);
    await world.expectNothingLeft();
  }
  expect(Math.min(resumed, anew)).toBeGreaterThan(0);
});

it('a file that has changed begins anew and says why, also where only its content tells', async () => {
  const world = await World.create();
  const file = await world.file(bytes);
  await expect(put(world.run(90), file)).rejects.toThrow();
  const other = await world.change(bytes, 70_000, true);
  const result = await put(world.run(), file);
  expect(result.resumedBytes).toBe(0);
  expect(result.begunAnew).toBe('the content of the file has changed');
  expect(Buffer.compare(await world.content('x'), Buffer.from(other))).toBe(0);
  await world.expectNothingLeft();

  const longer = await World.create();
  await expect(put(longer.run(90), await longer.file(bytes))).rejects.toThrow();
  const grown = await put(longer.run(), await longer.file(noise(bytes.length + 1)));
  expect(grown).toMatchObject({
    resumedBytes: 0,
    begunAnew: 'the file is another one, or has changed since',
  });
});

it('with a provider gone the certificate is of what is there; where too much is gone it begins anew', async () => {
  const [one, many] = [await World.create(), await World.create()];
  const file = await one.file(bytes);
  await expect(put(one.run(90), file)).rejects.toThrow();
  one.vault.gone.add('p3');
  const result = await put(one.run(), file);
  expect(result.resumedBytes).toBeGreaterThan(0);
  const { certificate } = await verifyObject(one.vault.context, 'x', { deep: true });
  expect(certificate.live.tolerates).toBe(result.certificate.tolerates);
  expect(result.certificate.tolerates).toBeGreaterThanOrEqual(1);
  expect(Buffer.compare(await one.content('x'), Buffer.from(bytes))).toBe(0);

  const again = await many.file(bytes);
  const { certificate: usual } = await put(many.run(), again, { name: 'usual' });
  await expect(put(many.run(90), again)).rejects.toThrow();
  for (const id of ['p1', 'p2', 'p3', 'p4'].slice(0, usual.tolerates)) many.vault.gone.add(id);
  const anew = await put(many.run(), again);
  expect(anew).toMatchObject({ resumedBytes: 0, begunAnew: expect.stringMatching(/too little/) });
  expect(anew.certificate.tolerates).toBeGreaterThanOrEqual(1);
});

it('a pack that is shorter than it was counts as gone', async () => {
  const world = await World.create();
  const file = await world.file(bytes);
  await expect(put(world.run(90), file)).rejects.toThrow();
  world.run();
  const { adapter } = world.vault.providers[4]!;
  for await (const { address } of adapter.list()) {
    await adapter.delete(address);
    await adapter.store(address, [Uint8Array.of(1)]);
  }
  const result = await put(world.run(), file);
  expect(result.resumedBytes).toBeGreaterThan(0);
  const { certificate } = await verifyObject(world.vault.context, 'x', { deep: true });
  expect(certificate.live.tolerates).toBe(result.certificate.tolerates);
});

/** A put that was cut off, and lost the record of its second segment. */
async function withGap(world: World, file: FileHandle): Promise<string[]> {
  await expect(put(world.run(90), file)).rejects.toThrow();
  const records = await world.records('resume');
  expect(records.length).toBeGreaterThan(4);
  await world.vault.context.engine.table('resume').put(records[2]!, Uint8Array.of(1));
  return records;
}

it('a gap between finished segments is filled, and nothing else is encoded again', async () => {
  const world = await World.create();
  const file = await world.file(bytes);
  const records = await withGap(world, file);
  const lost = records[2]!;
  // Forgotten before anything else is stored.
  await expect(put(world.run(0), file)).rejects.toThrow();
  expect(await world.records('resume')).toEqual(records.filter((key) => key !== lost));
  const encoded = world.sealed.size;
  const result = await put(world.run(), file);
  expect(result.begunAnew).toBeUndefined();
  expect(result.resumedBytes).toBeGreaterThanOrEqual((records.length - 2) * 4 * CHUNK);
  expect(world.sealed.size - encoded).toBe(Math.ceil((bytes.length - result.resumedBytes) / CHUNK));
  expect([...world.stores.values()].every((times) => times === 1)).toBe(true);
  expect(world.misuses).toEqual([]);
  expect(Buffer.compare(await world.content('x'), Buffer.from(bytes))).toBe(0);
  const verified = await verifyObject(world.vault.context, 'x', { deep: true });
  expect(verified.certificate.live).toEqual(verified.certificate.stored);
  const part = await readAll(await getObject(world.vault.context, 'x', { start: 300_000, length: 900_000 }));
  expect(Buffer.compare(Buffer.from(part), Buffer.from(bytes.subarray(300_000, 1_200_000)))).toBe(0);
  await world.expectNothingLeft();
});

it('a put that fills a gap is killed there and goes on again', async () => {
  const world = await World.create();
  const file = await world.file(bytes);
  await withGap(world, file);
  for (const stores of [3, 12, 20]) await expect(put(world.run(stores), file)).rejects.toThrow();
  await put(world.run(), file);
  expect(world.misuses).toEqual([]);
  expect(Buffer.compare(await world.content('x'), Buffer.from(bytes))).toBe(0);
  await world.expectNothingLeft();
});

it('a file whose content has changed in or behind a gap begins anew', async () => {
  for (const at of [400_000, 900_000]) {
    const world = await World.create();
    const file = await world.file(bytes);
    await withGap(world, file);
    const other = await world.change(bytes, at, true);
    const result = await put(world.run(), file);
    expect(result).toMatchObject({ resumedBytes: 0, begunAnew: expect.stringMatching(/has changed/) });
    expect(Buffer.compare(await world.content('x'), Buffer.from(other))).toBe(0);
    expect(world.misuses).toEqual([]);
    await world.expectNothingLeft();
  }
});

it('of two that take it up at once, one gets it, and both store the file', async () => {
  const world = await World.create();
  await expect(put(world.run(90), await world.file(bytes))).rejects.toThrow();
  const dead = async (owner: string): Promise<boolean> => owner === 'run1';
  const contexts = [world.run(), world.run()].map((context) => ({ ...context, isOver: dead }));
  const handles = [await open(world.path()), await open(world.path())];
  onTestFinished(async () => void (await Promise.all(handles.map((handle) => handle.close()))));
  const results = await Promise.all(contexts.map((context, i) => put(context, handles[i]!)));
  expect(results.filter(({ resumedBytes }) => resumedBytes > 0)).toHaveLength(1);
  expect(Buffer.compare(await world.content('x'), Buffer.from(bytes))).toBe(0);
  expect(world.misuses).toEqual([]);
  await world.expectNothingLeft();
});

it('an abort keeps what is stored and says so; the same process goes on with it', async () => {
  const world = await World.create();
  const file = await world.file(bytes);
  const stop = new AbortController();
  const context = world.run();
  const onProgress = ({ bytesRead }: PutProgress): void => {
    if (bytesRead > 2_500_000) stop.abort();
  };
  const refused = expect.objectContaining({ kind: 'Aborted', code: 'put_interrupted' });
  await expect(put(context, file, { signal: stop.signal, onProgress })).rejects.toEqual(refused);
  const result = await put(context, file);
  expect(result.resumedBytes).toBeGreaterThan(0);
  expect([...world.stores.values()].every((times) => times === 1)).toBe(true);
  await world.expectNothingLeft();
});

it('of two of one process that take up what a third let go of, one gets it', async () => {
  const world = await World.create();
  const context = world.run();
  const stop = new AbortController();
  const onProgress = ({ bytesRead }: PutProgress): void => {
    if (bytesRead > 2_500_000) stop.abort();
  };
  await expect(put(context, await world.file(bytes), { signal: stop.signal, onProgress })).rejects.toThrow();
  const handles = [await open(world.path()), await open(world.path())];
  onTestFinished(async () => void (await Promise.all(handles.map((handle) => handle.close()))));
  const results = await Promise.all(handles.map((handle) => put(context, handle)));
  expect(results.filter(({ resumedBytes }) => resumedBytes > 0)).toHaveLength(1);
  expect(Buffer.compare(await world.content('x'), Buffer.from(bytes))).toBe(0);
  await world.expectNothingLeft();
});

it('a sweep leaves what can be taken up for its time, and ends it then', async () => {
  const world = await World.create();
  await expect(put(world.run(90), await world.file(bytes))).rejects.toThrow();
  const context = world.run();
  const stored = await world.blobs();
  await sweepJournal(context, () => true, { keepMs: 24 * HOUR });
  expect(await world.blobs()).toEqual(stored);
  const later = { ...context, clock: { ...systemClock, now: () => systemClock.now() + 25 * HOUR } };
  await sweepJournal(later, () => true, { keepMs: 24 * HOUR });
  expect(await world.blobs()).toEqual([]);
  expect([...(await world.records('resume')), ...(await world.records('journal'))]).toEqual([]);
});

it('a state that is not the latest takes nothing up: that put may have become visible', async () => {
  const world = await World.create();
  const file = await world.file(bytes);
  const stale = createMemoryEngine();
  world.dieAt = (write) => touches(write, 'names');
  await expect(put(world.run(), file)).rejects.toThrow();
  for (const table of TABLE_NAMES)
    for await (const [key, value] of world.vault.context.engine.table(table).entries())
      await stale.table(table).put(key, value);
  await put(world.run(), file);
  const result = await put({ ...world.run(), engine: stale }, file);
  expect(result).toMatchObject({ resumedBytes: 0, begunAnew: expect.stringMatching(/latest/) });
});
