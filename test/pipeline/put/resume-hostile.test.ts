import type { FileHandle } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { mulberry } from '../../../bench/kill-vaults.ts';
import { addressOf, type BlobAddress } from '../../../src/core/address.ts';
import { HoldfastError } from '../../../src/core/errors.ts';
import { createMemoryEngine, type Engine } from '../../../src/engine/index.ts';
import { TABLE_NAMES } from '../../../src/engine/tables.ts';
import { deriveObjectKeys } from '../../../src/keys/derivation.ts';
import type { VaultContext } from '../../../src/pipeline/context.ts';
import type { PutProgress } from '../../../src/pipeline/put/put-result.ts';
import { deleteOrQueue, queueDeletes } from '../../../src/records/deletes.ts';
import { emptyTrash } from '../../../src/records/trash.ts';
import { finishedSegments, unfinishedOf } from '../../../src/records/unfinished.ts';
import { recoverVault } from '../../../src/upkeep/recover/recover.ts';
import { sweepJournal } from '../../../src/upkeep/sweep.ts';
import { verifyObject } from '../../../src/upkeep/verify.ts';
import { SLOW } from '../../helpers/cli.ts';
import { aroundWrites, touches } from '../../helpers/engine.ts';
import { bytes, HOUR, put, World } from '../../helpers/resuming.ts';
import { rottenEngine } from '../../helpers/rotten-engine.ts';

async function copyOf(engine: Engine): Promise<Engine> {
  const copy = createMemoryEngine();
  for (const name of TABLE_NAMES) {
    for await (const [key, value] of engine.table(name).entries()) await copy.table(name).put(key, value);
  }
  return copy;
}

/** A run that stands still at its first chunk until it is let go. */
function heldUp(context: VaultContext): { context: VaultContext; reached: Promise<void>; go: () => void } {
  let [reach, go] = [(): void => {}, (): void => {}];
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const { encode } = context.cpu;
  const cpu: VaultContext['cpu'] = {
    ...context.cpu,
    async encode(job) {
      reach();
      await gate;
      return encode(job);
    },
  };
  return { context: { ...context, cpu }, reached, go };
}

/** A put that died with some of its segments finished. */
async function cutOff(engine?: Engine): Promise<{ readonly world: World; readonly file: FileHandle }> {
  const world = await World.create(engine);
  const file = await world.file(bytes);
  await expect(put(world.run(90), file)).rejects.toThrow();
  return { world, file };
}

/** Nodes of the segments that it finished. */
async function finishedNodes(world: World, context: VaultContext): Promise<BlobAddress[]> {
  const [journal] = (await world.records('resume')) as [string];
  const { sealed } = deriveObjectKeys((await unfinishedOf(context, journal))!.objectKey);
  const nodes: BlobAddress[] = [];
  for await (const { finished } of finishedSegments(context, journal, sealed, {})) {
    nodes.push(addressOf(context.blake3.hash(finished.node)));
  }
  return nodes;
}

async function deleteEverywhere({ vault }: World, addresses: readonly BlobAddress[]): Promise<void> {
  for (const { adapter } of vault.providers)
    for (const address of addresses) await adapter.delete(address).catch(() => {});
}

async function isWhole(world: World): Promise<void> {
  expect(Buffer.compare(await world.content('x'), Buffer.from(bytes))).toBe(0);
  const { certificate } = await verifyObject(world.vault.context, 'x', { deep: true });
  expect(certificate.live).toEqual(certificate.stored);
}

it('a put of before a recovery is not taken up, and nothing of it is deleted', async () => {
  const { world, file } = await cutOff();
  const context = world.run();
  const stored = await world.blobs();
  await recoverVault(context);
  expect(await put(world.run(), file)).toMatchObject({ resumedBytes: 0, begunAnew: undefined });
  await sweepJournal(world.run(), (owner) => owner === 'run1', { keepMs: 24 * HOUR });
  expect(await world.records('resume')).toEqual([]);
  expect(await world.blobs()).toEqual(expect.arrayContaining(stored));
});

it('a put that dies while it undoes itself is not taken up: its blobs will be deleted', async () => {
  const { world, file } = await cutOff();
  const context = world.run();
  world.fails = (operation) => operation === 'store' || operation === 'delete';
  world.dieAt = ({ ops }) => ops.some(({ table, value }) => table === 'journal' && value === undefined);
  await expect(put(context, file)).rejects.toThrow();
  expect(world.isDead).toBe(true);
  expect(await world.records('trash')).not.toEqual([]);
  world.fails = () => false;
  const result = await put(world.run(), file);
  expect(result.resumedBytes).toBe(0);
  await emptyTrash(world.run(), async () => true);
  await isWhole(world);
});

it('what waits to be deleted counts as lost', async () => {
  const { world, file } = await cutOff();
  const context = world.run();
  const waiting = (await world.blobs()).map((place) => place.split('/') as [string, string]);
  const blobs = waiting.map(([provider, address]) => ({
    provider,
    address: address as BlobAddress,
    bytes: 1,
  }));
  await queueDeletes(
    context,
    blobs.filter(({ provider }) => provider === 'p2'),
  );
  const result = await put(world.run(), file);
  expect(result.resumedBytes).toBeGreaterThan(0);
  while ((await world.records('trash')).length > 0) await emptyTrash(world.run(), async () => true);
  const { certificate } = await verifyObject(world.vault.context, 'x', { deep: true });
  expect(certificate.live.tolerates).toBe(result.certificate.tolerates);
  expect(Buffer.compare(await world.content('x'), Buffer.from(bytes))).toBe(0);
});

it('a put whose work another has taken up deletes nothing of it', async () => {
  const { world, file } = await cutOff();
  const slow = heldUp(world.run());
  const first = put(slow.context, file);
  await slow.reached;
  expect((await put(world.run(), file)).resumedBytes).toBeGreaterThan(0);
  slow.go();
  await expect(first).rejects.toMatchObject({ code: 'put_fenced' });
  await isWhole(world);
  expect(world.misuses).toEqual([]);
  await world.expectNothingLeft();
});

it('of two copies of a state that go on with one put, the later one ends before it is visible', async () => {
  const { world, file } = await cutOff();
  const engine = await copyOf(world.vault.context.engine);
  const copy = heldUp({ ...world.run(), engine });
  const later = put(copy.context, file);
  await copy.reached;
  expect((await put(world.run(), file)).resumedBytes).toBeGreaterThan(0);
  copy.go();
  await expect(later).rejects.toMatchObject({ code: 'state_behind' });
  await sweepJournal({ ...world.run(), engine }, () => true);
  expect(Buffer.compare(await world.content('x'), Buffer.from(bytes))).toBe(0);
  expect(world.misuses).toEqual([]);
});

it('providers that do not answer end nothing: a later put goes on', async () => {
  const { world, file } = await cutOff();
  const notes = await world.records('resume');
  world.fails = (operation) => operation === 'stat' || operation === 'store';
  await expect(put(world.run(), file)).rejects.toThrow();
  expect(await world.records('resume')).toEqual(notes);
  world.fails = (operation) => operation === 'stat';
  const anew = await put(world.run(), file);
  expect(anew).toMatchObject({ resumedBytes: 0, begunAnew: expect.stringMatching(/did not say/) });
  world.fails = () => false;
  expect((await put(world.run(), file)).resumedBytes).toBeGreaterThan(0);
  await isWhole(world);
  await world.expectNothingLeft();
});

it('what a provider holds that does not answer stays, and is not counted on', async () => {
  const { world, file } = await cutOff();
  world.fails = (operation, provider) => operation === 'stat' && provider === 'p3';
  const result = await put(world.run(), file);
  expect(result.resumedBytes).toBeGreaterThan(0);
  world.fails = () => false;
  while ((await world.records('trash')).length > 0) await emptyTrash(world.run(), async () => true);
  const { certificate } = await verifyObject(world.vault.context, 'x', { deep: true });
  expect(certificate.live.tolerates).toBeGreaterThan(result.certificate.tolerates);
  await world.expectNothingLeft();
});

it('nodes that are gone everywhere are stored again', async () => {
  const { world, file } = await cutOff();
  await deleteEverywhere(world, await finishedNodes(world, world.run()));
  expect((await put(world.run(), file)).resumedBytes).toBeGreaterThan(0);
  await isWhole(world);
  await world.expectNothingLeft();
});

it('a node is stored again nowhere where a delete of it may still land, and stays where one was only queued', async () => {
  const { world, file } = await cutOff();
  const context = world.run();
  const nodes = await finishedNodes(world, context);
  const at = (ids: readonly string[]) =>
    nodes.flatMap((address) => ids.map((provider) => ({ provider, address, bytes: 0 })));
  // No answer came to these deletes of before: they may land at any time.
  const [doubtful, queued] = [at(['p1', 'p2', 'p3']), at(['p4', 'p5'])];
  world.fails = (operation) => operation === 'delete';
  expect(await deleteOrQueue(context, doubtful)).toBe(doubtful.length);
  world.fails = () => false;
  await deleteEverywhere(world, nodes);
  await queueDeletes(context, queued);
  world.stores.clear();
  expect((await put(world.run(), file)).resumedBytes).toBeGreaterThan(0);
  expect(doubtful.filter(({ provider, address }) => world.stores.has(`${provider}/${address}`))).toEqual([]);
  expect(nodes.every((address) => [...world.stores.keys()].some((place) => place.endsWith(address)))).toBe(
    true,
  );
  const stored = queued.filter(({ provider, address }) => world.stores.has(`${provider}/${address}`));
  expect(stored).not.toEqual([]);
  for (let i = 0; i < 3; i++) await emptyTrash(world.run(), async () => true);
  expect(await world.blobs()).toEqual(
    expect.arrayContaining(stored.map(({ provider, address }) => `${provider}/${address}`)),
  );
  for (const { provider, address } of doubtful) {
    await context.directory.get(provider)!.adapter.delete(address);
  }
  await isWhole(world);
});

it('a note that is damaged stops no put: of a segment it is made anew, of a put all is, and it goes with the journal', async () => {
  for (const damaged of [0, 1]) {
    const engine = rottenEngine();
    const { world, file } = await cutOff(engine);
    engine.rot('resume', (await world.records('resume'))[damaged]!);
    const { resumedBytes } = await put(world.run(), file);
    expect(resumedBytes > 0).toBe(damaged === 1);
    await sweepJournal(world.run(), () => true);
    expect(await world.records('resume')).toEqual([]);
    expect(Buffer.compare(await world.content('x'), Buffer.from(bytes))).toBe(0);
    await world.expectNothingLeft();
  }
});

it('a note or a journal that is cut off or has a bit flipped, which nothing tells, stops no put and spoils no byte', async () => {
  const random = mulberry(3);
  const draw = (count: number): number => Math.floor(random() * count);
  for (let trial = 0; trial < (SLOW ? 60 : 3); trial++) {
    const { world, file } = await cutOff();
    const { engine } = world.vault.context;
    const table = trial % 3 === 2 ? 'journal' : 'resume';
    const keys = await world.records(table);
    const key = keys[draw(keys.length)]!;
    const value = (await engine.table(table).get(key))!;
    const [at, bit, cut] = [draw(value.length), draw(8), random() < 0.5];
    const flipped = value.map((byte, i) => (i === at ? byte ^ (1 << bit) : byte));
    await engine.table(table).put(key, cut ? value.slice(0, at) : flipped);
    const where = `${table} ${key} at ${at}, ${cut ? 'cut' : `bit ${bit}`}`;
    await put(world.run(), file).catch((error: Error) => expect(error, where).toBeInstanceOf(HoldfastError));
    const context = world.run();
    await sweepJournal(context, (owner) => owner !== 'run3');
    await emptyTrash(context, async () => true);
    await expect(put(context, file), where).resolves.toMatchObject({ name: 'x' });
    await isWhole(world);
    expect(world.misuses, where).toEqual([]);
  }
}, 600_000);

it('a put of which the journal is damaged is not taken up, and is told of once', async () => {
  const engine = rottenEngine();
  const { world, file } = await cutOff(engine);
  const intents = (await world.records('journal')).filter((key) => key.includes('/'));
  engine.rot('journal', intents[1]!);
  const context = world.run();
  const stored = await world.blobs();
  const anew = { resumedBytes: 0, begunAnew: expect.stringMatching(/damaged/) };
  expect(await put(context, file)).toMatchObject(anew);
  expect((await put(world.run(), file)).begunAnew).toBeUndefined();
  const { poison } = await sweepJournal(world.run(), () => true);
  expect(poison.keys).toEqual([intents[1]]);
  expect(await world.blobs()).toEqual(expect.arrayContaining(stored));
  await isWhole(world);
});

it('a put whose notes cannot be written goes on, and is undone when it is interrupted', async () => {
  const world = await World.create();
  const file = await world.file(bytes);
  const full = (context: VaultContext): VaultContext => ({
    ...context,
    engine: aroundWrites(context.engine, async (write, work) => {
      const isNote = touches(write, 'resume') && write.ops.some(({ value }) => value !== undefined);
      if (isNote) throw new HoldfastError('Unavailable', 'the disk is full', { code: 'engine_full' });
      return work();
    }),
  });
  const stop = new AbortController();
  const onProgress = ({ bytesRead }: PutProgress): void => {
    if (bytesRead > 2_500_000) stop.abort();
  };
  const cutOff = put(full(world.run()), file, { signal: stop.signal, onProgress });
  await expect(cutOff).rejects.toThrow(expect.not.objectContaining({ code: 'put_interrupted' }));
  expect(await world.blobs()).toEqual([]);
  expect((await put(full(world.run()), file)).size).toBe(bytes.length);
  await isWhole(world);
  await world.expectNothingLeft();
});

it('a put that works for days says so: what is counted is the time since it was last at work', async () => {
  const world = await World.create();
  const file = await world.file(bytes);
  let shift = 0;
  const context = world.run(130);
  const clock = {
    ...context.clock,
    now: () => context.clock.now() + shift,
    monotonic: () => context.clock.monotonic() + shift,
  };
  const onProgress = ({ bytesRead }: PutProgress): void => {
    if (bytesRead > 1_500_000) shift = 30 * HOUR;
  };
  await expect(put({ ...context, clock }, file, { onProgress })).rejects.toThrow();
  const later = world.run();
  const stored = await world.blobs();
  await sweepJournal({ ...later, clock }, () => true, { keepMs: 24 * HOUR });
  expect(await world.blobs()).toEqual(stored);
});
