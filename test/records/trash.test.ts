import { expect, it } from 'vitest';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { u64, utf8Decode, utf8Encode } from '../../src/core/bytes.ts';
import { systemClock } from '../../src/core/clock.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import type { Table } from '../../src/engine/engine.ts';
import { createMemoryEngine } from '../../src/engine/index.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { type BlobAt, SETTLE_MS } from '../../src/records/claims.ts';
import { deleteOrQueue, queueDeletes } from '../../src/records/deletes.ts';
import { keepFork } from '../../src/records/forks.ts';
import { generationOf } from '../../src/records/generation.ts';
import { PutJournal } from '../../src/records/journal.ts';
import { readName } from '../../src/records/names.ts';
import { emptyTrash } from '../../src/records/trash.ts';
import { scrubProviders } from '../../src/upkeep/gc.ts';
import { judgeOldClaims } from '../../src/upkeep/old-claims.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { remainsOf } from '../../src/upkeep/remains.ts';
import { aroundWrites, touches } from '../helpers/engine.ts';
import { allBlobs } from '../helpers/faulty.ts';
import { noise, readAll, type TestVaultOptions, testVault } from '../helpers/vault.ts';
import { blake3 } from '../providers/deps.ts';

const bytesAt = (i: number): Uint8Array => noise(10, i + 1);
const blobAt = (provider: string, i: number): BlobAt => ({
  provider,
  address: addressOf(blake3.hash(bytesAt(i))),
  bytes: 0,
});
const blobsAt = (provider: string, count: number): BlobAt[] =>
  Array.from({ length: count }, (_, i) => blobAt(provider, i));

const alive = async (): Promise<boolean> => false;
const dead = async (): Promise<boolean> => true;

type Deletes = 'work' | 'hang' | 'lose' | 'refuse';

/** A vault on a clock that is set by hand, whose providers do with a delete what they are told. */
async function world(told: Record<string, Deletes> = {}, options: TestVaultOptions = {}) {
  const asked: string[] = [];
  /** Deletes that nobody waits for any more, and that are done when told to. */
  const late: (() => Promise<void>)[] = [];
  const wrap = (adapter: BlobAdapter): BlobAdapter => ({
    ...adapter,
    delete: async (address, options) => {
      asked.push(`${adapter.adapterId}/${address}`);
      const how = told[adapter.adapterId];
      if (how === 'refuse') throw new HoldfastError('RateLimited', 'later, please');
      if (how === 'lose' || how === 'hang') late.push(() => adapter.delete(address));
      if (how === 'hang') await new Promise(() => {});
      if (how === 'lose') throw new HoldfastError('Timeout', 'no answer');
      return adapter.delete(address, options);
    },
  });
  const vault = await testVault({ ...options, wrap });
  const time = { ms: Date.now() };
  const context = { ...vault.context, clock: { ...systemClock, now: () => time.ms } };
  return { vault, context, asked, told, late, time };
}

async function trashOf({ engine }: VaultContext): Promise<string[]> {
  const keys: string[] = [];
  for await (const [key] of engine.table('trash').entries()) keys.push(key);
  return keys;
}

async function statesOf({ engine }: VaultContext): Promise<string[]> {
  const states: string[] = [];
  for await (const [, value] of engine.table('trash').entries()) {
    states.push(value.length === 8 ? 'version 1' : JSON.parse(utf8Decode(value)).state);
  }
  return states.sort();
}

/** Puts blobs there, as a put that was undone did. */
async function store({ directory }: VaultContext, blobs: readonly BlobAt[]): Promise<void> {
  for (const [i, { provider, address }] of blobs.entries()) {
    await directory.get(provider)!.adapter.store(address, [bytesAt(i)]);
  }
}

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

it('what was queued before a recovery is judged anew: what a name needs stays, the rest goes', async () => {
  const { vault, context, asked } = await world();
  const content = noise(200_000, 5);
  await putObject(context, content, { name: 'x' });
  const needed = await allBlobs(vault);
  const strays = blobsAt('p1', 2);
  await store(context, strays);
  const places = needed.map((place) => {
    const [provider, address] = place.split('/') as [string, BlobAddress];
    return { provider, address, bytes: 0 };
  });
  await queueDeletes(context, [...places, ...strays]);
  await generationOf(context).adopt([]);
  await emptyTrash(context, alive);
  expect(asked).toEqual([]);
  // A dry run judges nothing.
  await scrubProviders(context, { dryRun: true });
  expect(await trashOf(context)).toHaveLength(places.length + 2);
  await scrubProviders(context);
  await emptyTrash(context, alive);
  expect([await trashOf(context), await allBlobs(vault)]).toEqual([[], needed]);
  expect(Buffer.compare(await readAll(await getObject(context, 'x')), content)).toBe(0);
});

it.each([
  ['the nodes of a version that this state remembers', false, false],
  ['the nodes of what has the name of a fork here', false, true],
  ['all of a version of which the root here is damaged', true, false],
  ['all of what has the name of a fork here, where its root is damaged', true, true],
])('what was queued before a recovery goes, though another home deleted %s', async (_, rootToo, isFork) => {
  const several = { chunkBytes: 64 * 1024, policy: { packTargetBytes: 4 * 1024 } };
  const { vault, context } = await world({}, several);
  const { manifest } = await putObject(context, noise(150_000, 5), { name: 'x' });
  const strays = blobsAt('p1', 2);
  await store(context, strays);
  await queueDeletes(context, strays);
  const other: VaultContext = { ...context, engine: createMemoryEngine() };
  await recoverVault(other);
  const { nodes, packs } = await remainsOf(context, manifest, { withoutLost: false });
  expect(nodes.flat().length).toBeGreaterThan(0);
  // Deleting has come to the nodes, and is still to come to a pack that did not answer.
  for (const { adapter } of vault.providers)
    for (const node of [...nodes.flat(), ...(rootToo ? [manifest] : [])]) await adapter.delete(node);
  if (rootToo) await context.engine.table('manifests').put(manifest, noise(100));
  await generationOf(context).adopt([]);
  await judgeOldClaims(context);
  expect(await trashOf(context), 'while a name stands for it').toHaveLength(2);
  if (isFork) await keepFork(context, (await readName(context, 'x'))!);
  await putObject(other, noise(3_000, 6), { name: 'x' });
  await recoverVault(context);
  await emptyTrash(context, alive);
  expect(await trashOf(context)).toEqual([]);
  expect(await allBlobs(vault)).toContain(`${packs[0]!.provider}/${packs[0]!.address}`);
});

it('what is needed after a recovery keeps its place claimed while a delete of before may be under way', async () => {
  const { vault, context, told, late, time } = await world();
  await putObject(context, noise(3_000, 5), { name: 'x' });
  const needed = await allBlobs(vault);
  const [provider, address] = needed[0]!.split('/') as [string, BlobAddress];
  told[provider] = 'lose';
  await deleteOrQueue(context, [{ provider, address, bytes: 0 }]);
  told[provider] = 'work';
  await generationOf(context).adopt([]);
  await scrubProviders(context);
  await emptyTrash(context, alive);
  expect([await statesOf(context), await allBlobs(vault)]).toEqual([['unsettled'], needed]);
  time.ms += SETTLE_MS;
  await emptyTrash(context, alive);
  expect([await trashOf(context), await allBlobs(vault)]).toEqual([[], needed]);
  expect(late).toHaveLength(1);
});

it('claims of before a recovery are judged together: the journal is not read for each of them', async () => {
  const { context } = await world();
  await queueDeletes(context, blobsAt('p1', 100));
  await generationOf(context).adopt([]);
  let looks = 0;
  const table = (name: string): Table => {
    if (name === 'journal') looks++;
    return context.engine.table(name);
  };
  await judgeOldClaims({
    ...context,
    engine: { ...aroundWrites(context.engine, (_, work) => work()), table },
  });
  expect(await trashOf(context)).toEqual([]);
  expect(looks).toBeLessThan(10);
});
