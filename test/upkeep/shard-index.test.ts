import { describe, expect, it } from 'vitest';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { secureRandom } from '../../src/core/random.ts';
import { createMemoryEngine, type Engine } from '../../src/engine/index.ts';
import { deriveSubkeys, vaultKeysOf } from '../../src/keys/derivation.ts';
import { encodeRelocation } from '../../src/manifest/relocation.ts';
import {
  decodeClass,
  decodeIndexed,
  type PlacementClass,
  placementClass,
} from '../../src/manifest/shard-rows.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { PutRows } from '../../src/pipeline/put/put-rows.ts';
import { forgetRoot } from '../../src/records/manifests.ts';
import { placementClasses, rowsOf, segmentsIn } from '../../src/records/shard-index.ts';
import { relocationsOf } from '../../src/records/told-relocations.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { indexShards } from '../../src/upkeep/shard-index/index-shards.ts';
import { aroundWrites, type EngineWrite } from '../helpers/engine.ts';
import { rottenEngine } from '../helpers/rotten-engine.ts';
import { dropIndex, indexAll, indexed, inObjects } from '../helpers/shard-index.ts';
import { noise, testVault } from '../helpers/vault.ts';

const CODE = createLinearCode({ algorithm: 'reed-solomon', dataShards: 2, parityShards: 1 });
/** Segments of a few chunks each. */
const policy = { code: CODE, packTargetBytes: 64 * 1024 };
const chunkBytes = 64 * 1024;

const keysIn = async ({ engine }: VaultContext, table: string): Promise<string[]> => {
  const keys: string[] = [];
  for await (const [key] of engine.table(table).entries({ onDamaged: (key) => keys.push(key) }))
    keys.push(key);
  return keys;
};

/** A vault with a replica, an object of one segment and one of many. */
async function filled(options: Parameters<typeof testVault>[0] = {}) {
  const vault = await testVault({ providers: 5, policy, chunkBytes, ...options });
  const { context } = vault;
  await putObject(context, noise(300), { name: 'replica' });
  await putObject(context, noise(50_000), { name: 'one' });
  const { manifest } = await putObject(context, noise(2_000_000), { name: 'many' });
  return { ...vault, many: manifest };
}

describe('a put', () => {
  it('has every segment in the index with the batch that makes it visible', async () => {
    const batches: string[][] = [];
    const { context } = await testVault({ providers: 5, policy, chunkBytes });
    const engine = aroundWrites(context.engine, (write, work) => {
      if (write.call === 'batch') batches.push(write.ops.map(({ table }) => table));
      return work();
    });
    for (const [name, bytes] of [
      ['replica', 300],
      ['one', 50_000],
      ['many', 2_000_000],
    ] as const) {
      await putObject({ ...context, engine }, noise(bytes), { name });
    }
    expect(await indexed(context)).toEqual(await inObjects(context));
    expect((await inObjects(context)).length).toBeGreaterThan(5);
    const commits = batches.filter((tables) => tables.includes('manifests'));
    expect(commits).toHaveLength(3);
    for (const tables of commits) expect(tables).toContain('shard_index');
    expect(batches.filter((tables) => tables.some((table) => table.startsWith('shard_')))).toEqual(commits);
    const ofSmall = commits[0]!.filter((table) => table.startsWith('shard_'));
    expect(ofSmall).toEqual(['shard_classes', 'shard_index']);
  });

  it('that is removed leaves no row behind, and no class once somebody looks', async () => {
    const { context } = await filled();
    for (const name of ['replica', 'one', 'many']) await deleteObject(context, name);
    expect(await keysIn(context, 'shard_index')).toEqual([]);
    expect(await keysIn(context, 'shard_classes')).not.toEqual([]);
    for await (const { id } of placementClasses(context)) expect.unreachable(id);
    expect(await keysIn(context, 'shard_classes')).toEqual([]);
  });
});

describe('the index of shards', () => {
  it('is made of the objects where an earlier version left none', async () => {
    const { context } = await filled();
    await dropIndex(context);
    expect(await indexed(context)).toEqual([]);
    await indexAll(context);
    expect(await indexed(context)).toEqual(await inObjects(context));
    expect(await keysIn(context, 'shard_due')).toEqual([]);
  });

  it('goes on where a run that was out of time ended', async () => {
    const { context } = await filled();
    await dropIndex(context);
    let now = 0;
    const hurried = { ...context, clock: { ...context.clock, monotonic: () => (now += 400) } };
    let runs = 0;
    let before = 0;
    for (let isWhole = false; !isWhole; runs++) {
      expect(runs).toBeLessThan(100);
      isWhole = (await indexShards(hurried, { compare: 'records', eachMs: 2_000 })).whole;
      const rows = (await keysIn(context, 'shard_index')).length;
      expect(rows).toBeGreaterThanOrEqual(before);
      before = rows;
    }
    expect(runs).toBeGreaterThan(3);
    expect(await indexed(context)).toEqual(await inObjects(context));
  });

  it.each(['shard_index', 'shard_classes'])(
    'damaged in %s is no error to a reader, and is made anew',
    async (table) => {
      const engine = rottenEngine();
      const { context } = await filled({ engine });
      await indexAll(context);
      const keys = await keysIn(context, table);
      engine.rot(table, keys[0]!);
      await engine.table(table).put(keys[1]!, new Uint8Array([1, 2, 3]));
      expect((await indexed(context)).length).toBeLessThan((await inObjects(context)).length);
      await indexAll(context);
      expect(await indexed(context)).toEqual(await inObjects(context));
    },
  );

  it('gets back rows that were lost, once a look finds one lacking', async () => {
    const { context, many } = await filled();
    await indexAll(context);
    for (const key of await keysIn(context, 'shard_index'))
      await context.engine.table('shard_index').delete(key);
    for (let run = 0; run < 20; run++) await indexShards(context, { compare: 'records' });
    expect(await indexed(context)).toEqual(await inObjects(context));
    expect(await keysIn(context, 'shard_due')).toEqual([]);
    expect(many).toMatch(/^b3:/);
  });

  it('is gone through again after a week, for an older program may have put objects', async () => {
    const { context } = await filled();
    await indexAll(context);
    for (const key of await keysIn(context, 'shard_index'))
      await context.engine.table('shard_index').delete(key);
    expect(await indexShards(context, { compare: 'nothing' })).toMatchObject({ whole: true });
    expect(await indexed(context)).toEqual([]);
    const later = { ...context, clock: { ...context.clock, now: () => Date.now() + 8 * 24 * 3_600_000 } };
    expect(await indexShards(later, { compare: 'nothing' })).toMatchObject({ whole: true });
    expect(await indexed(context)).toEqual(await inObjects(context));
  });

  it('drops rows of objects that are gone, but none while a put may be about to commit', async () => {
    const { context, many } = await filled();
    const before = (await keysIn(context, 'shard_index')).length;
    await forgetRoot(context, many);
    const ofOthers = (await inObjects(context)).length;
    expect(await indexed(context)).toHaveLength(ofOthers);
    await context.engine.table('journal').put('1'.repeat(16), new Uint8Array([1]));
    await indexAll(context);
    expect(await keysIn(context, 'shard_index')).toHaveLength(before);
    await context.engine.table('journal').delete('1'.repeat(16));
    await context.engine.table('upkeep').delete('shards');
    await indexAll(context);
    expect(await keysIn(context, 'shard_index')).toHaveLength(ofOthers);
    expect(await indexed(context)).toEqual(await inObjects(context));
  });

  it('puts a row right that says something else than its object', async () => {
    const { context } = await filled();
    await indexAll(context);
    const table = context.engine.table('shard_index');
    const [one, other] = await keysIn(context, 'shard_index');
    const wrong = `${'0'.repeat(16)}/${one!.slice(17)}`;
    await table.put(wrong, (await table.get(one!))!);
    await table.delete(one!);
    expect(other).toBeDefined();
    for (let run = 0; run < 20; run++) await indexShards(context, { compare: 'nodes' });
    expect(await keysIn(context, 'shard_index')).not.toContain(wrong);
    expect(await indexed(context)).toEqual(await inObjects(context));
  });

  it('has an object whose nodes cannot be read another time, and all others now', async () => {
    const vault = await filled();
    const { context, gone, many } = vault;
    await putObject(context, noise(1_000_000, 2), { name: 'other' });
    await dropIndex(context);
    const all = context.directory.all().map(({ id }) => id);
    for (const id of all) gone.add(id);
    const first = await indexShards(context, { compare: 'records' });
    expect(first.failures.map(({ piece }) => piece)).toContain(many);
    expect(first.whole).toBe(false);
    // Those whose only segment is in the root.
    expect(await keysIn(context, 'shard_index')).toHaveLength(2);
    for (const id of all) gone.delete(id);
    const later = { ...context, clock: { ...context.clock, now: () => Date.now() + 3_600_000 } };
    await indexAll(later);
    expect(await indexed(context)).toEqual(await inObjects(context));
  });

  it('says where shards are that were moved', async () => {
    const { context, many } = await filled();
    await dropIndex(context);
    await indexAll(context);
    const [segment] = (await segmentsOf(context)).filter((one) => one.manifest === many);
    const pack = segment!.packs[0]!;
    const moved = { provider: 'elsewhere', address: pack.address, length: 1, shards: [0] };
    const length = await shardLength(context, segment!.segment);
    const row = encodeRelocation({ segment: segment!.segment, movedMs: 5, packs: [{ ...moved, length }] });
    const address = addressOf(context.blake3.hash(row));
    await context.engine.table('relocations').put(`${segment!.segment}/00000000000005/${address}`, row);
    await dropIndex(context);
    await indexAll(context);
    expect(await indexed(context)).toEqual(await inObjects(context));
    const names: string[] = [];
    for await (const { maps } of placementClasses(context)) names.push(...maps.flat());
    expect(names).toContain('elsewhere');
  });
});

it('a state that was recovered has its objects in the index once the chore was done', async () => {
  const { context } = await filled();
  const engine = createMemoryEngine();
  const recovered = { ...context, engine, relocations: relocationsOf({ ...context, engine }) };
  await recoverVault(recovered);
  await indexAll(recovered);
  expect((await indexed(recovered)).length).toBeGreaterThan(5);
  expect(await indexed(recovered)).toEqual(await indexed(context));
  expect(await keysIn(recovered, 'shard_due')).toEqual([]);
});

it('the index is made without the key', async () => {
  const { context } = await filled();
  await dropIndex(context);
  await indexAll({ ...context, keys: vaultKeysOf(deriveSubkeys(secureRandom(32))) });
  expect(await indexed(context)).toEqual(await inObjects(context));
});

describe('rows of a put', () => {
  const placement = {
    alike: placementClass({ code: CODE.params, level: 'provider', maps: [['a', 'b', 'c']] }),
    chunks: 1,
    bytes: 1024,
    packs: [{ provider: 'a', address: addressOf(new Uint8Array(32)), length: 512 }],
  };
  const root = addressOf(new Uint8Array(32).fill(255));
  const segment = (n: number): BlobAddress => {
    const digest = new Uint8Array(32);
    new DataView(digest.buffer).setUint32(0, n);
    return addressOf(digest);
  };

  it('that have no room in its commit are written before it, flushed, and their class with it', async () => {
    const before: EngineWrite[] = [];
    const engine = aroundWrites(createMemoryEngine(), (write, work) => {
      before.push(write);
      return work();
    });
    const rows = new PutRows();
    for (let n = 0; n < 3_000; n++) rows.add(segment(n), placement);
    const last = await rows.write(engine, root);
    expect(last.length).toBeLessThanOrEqual(1_024);
    expect(last[0]).toMatchObject({ table: 'shard_classes', key: placement.alike.id });
    expect(before.map(({ sync }) => sync)).toEqual([true, true]);
    const all = [...before.flatMap(({ ops }) => ops), ...last];
    expect(new Set(all.map(({ key }) => key)).size).toBe(3_001);
    expect(all).toHaveLength(3_001);
  });

  it('of too many packs are left to the chore', async () => {
    const rows = new PutRows(2);
    for (let n = 0; n < 3; n++) rows.add(segment(n), placement);
    const last = await rows.write(createMemoryEngine(), root);
    expect(last).toMatchObject([{ table: 'shard_due', key: root }]);
  });
});

it('a class that comes into use while a reader drops it stays', async () => {
  const { context } = await testVault({ providers: 5, policy, chunkBytes });
  await putObject(context, noise(300), { name: 'x' });
  const table = context.engine.table('shard_index');
  const [key] = await keysIn(context, 'shard_index');
  const row = (await table.get(key!))!;
  await table.delete(key!);
  const alike = await classAt(context, key!.slice(0, 16));
  let looked = 0;
  const engine: Engine = {
    ...{ ...context.engine, revision: () => context.engine.revision(), close: async () => {} },
    batch: (...given) => context.engine.batch(...given),
    table: (name) => ({
      ...context.engine.table(name),
      async *entries(options) {
        yield* context.engine.table(name).entries(options);
        if (name !== 'shard_index' || looked++ > 0) return;
        const { manifest, ...shards } = decodeIndexed(row);
        const segment = addressOf(new Uint8Array(32).fill(1));
        await context.engine.batch(rowsOf({ ...shards, alike }, { segment, manifest }));
      },
    }),
  };
  for await (const _ of placementClasses({ engine })) expect.unreachable();
  expect(looked).toBe(1);
  expect(await indexed(context)).toHaveLength(1);
});

describe('segments of a class', () => {
  it('come in pieces, in the order of their addresses', async () => {
    const { context } = await filled();
    for (let i = 0; i < 20; i++) await putObject(context, noise(5_000, i + 3), { name: `${i}` });
    for await (const { id } of placementClasses(context)) {
      const all: BlobAddress[] = [];
      for await (const { segment } of segmentsIn(context, id)) all.push(segment);
      const pieces: BlobAddress[] = [];
      for (let after: BlobAddress | undefined; ; after = pieces.at(-1)) {
        const had = pieces.length;
        for await (const { segment } of segmentsIn(context, id, { after, limit: 2 })) pieces.push(segment);
        expect(pieces.length - had).toBeLessThanOrEqual(2);
        if (pieces.length === had) break;
      }
      expect(pieces).toEqual(all);
      expect([...all].sort()).toEqual(all);
    }
  });
});

async function classAt({ engine }: VaultContext, id: string): Promise<PlacementClass> {
  return decodeClass((await engine.table('shard_classes').get(id))!, id);
}

async function segmentsOf(context: VaultContext) {
  const found: { manifest: BlobAddress; segment: BlobAddress; packs: readonly { address: BlobAddress }[] }[] =
    [];
  for await (const { id } of placementClasses(context)) {
    for await (const one of segmentsIn(context, id)) found.push(one);
  }
  return found;
}

async function shardLength(context: VaultContext, segment: BlobAddress): Promise<number> {
  for (const text of await inObjects(context)) {
    const one = JSON.parse(text) as { segment: string; chunks: number; bytes: number };
    if (one.segment === segment) return Math.ceil(one.bytes / one.chunks / CODE.dataShards / 512) * 512;
  }
  throw new Error('no such segment');
}
