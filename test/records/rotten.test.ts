import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { queueDeletes } from '../../src/records/deletes.ts';
import { generationOf } from '../../src/records/generation.ts';
import { engineGenerationOf } from '../../src/records/generation-record.ts';
import { PutJournal } from '../../src/records/journal.ts';
import { listManifests } from '../../src/records/manifests.ts';
import { createPlaces } from '../../src/records/places.ts';
import { recountIsDue, recountUsage } from '../../src/records/usage.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { scrubProviders } from '../../src/upkeep/gc.ts';
import { createRetention } from '../../src/upkeep/retention.ts';
import { sweepJournal } from '../../src/upkeep/sweep.ts';
import { retireUnnamed } from '../../src/upkeep/unnamed.ts';
import { verifyObject } from '../../src/upkeep/verify.ts';
import { newWorld, Probed } from '../catalog/world.ts';
import { type RottenEngine, rottenEngine } from '../helpers/rotten-engine.ts';
import { noise, testVault } from '../helpers/vault.ts';
import { blake3 } from '../providers/deps.ts';

async function vaultOn(
  engine: RottenEngine,
): Promise<{ context: VaultContext; blobs: () => Promise<number> }> {
  const { context: base, providers } = await testVault({ providers: 4 });
  const context = { ...base, engine };
  const retention = createRetention(context, 0);
  const blobs = async (): Promise<number> => {
    let count = 0;
    for (const { adapter } of providers) for await (const _ of adapter.list()) count++;
    return count;
  };
  return { context: { ...context, retention, places: createPlaces(context) }, blobs };
}

const keysOf = async (engine: RottenEngine, table: string): Promise<string[]> => {
  const keys: string[] = [];
  for await (const [key] of engine.table(table).entries({ onDamaged: () => {} })) keys.push(key);
  return keys;
};

describe('a damaged record that is derived', () => {
  it.each(['manifests', 'manifest_order', 'manifest_times', 'manifest_usage'])(
    'of %s keeps no object from being removed, and stays no longer than that',
    async (table) => {
      const engine = rottenEngine();
      const { context, blobs } = await vaultOn(engine);
      await putObject(context, noise(10_000), { name: 'x' });
      for (const key of await keysOf(engine, table)) engine.rot(table, key);
      await deleteObject(context, 'x');
      expect(await blobs()).toBe(0);
      for (const each of ['retired', 'manifests', 'manifest_order', 'manifest_times', 'manifest_usage']) {
        expect({ [each]: await keysOf(engine, each) }).toEqual({ [each]: [] });
      }
    },
  );

  it('of the order of manifests leaves none of them out of the list', async () => {
    const engine = rottenEngine();
    const { context } = await vaultOn(engine);
    const puts = [];
    for (const seed of [1, 2, 3]) puts.push((await putObject(context, noise(3_000, seed))).manifest);
    for (const key of (await keysOf(engine, 'manifest_order')).slice(1)) engine.rot('manifest_order', key);
    const listed = [];
    for await (const { address } of listManifests(context)) listed.push(address);
    expect(listed.sort()).toEqual(puts.sort());
  });

  it('of a shard that was moved keeps no other object from being verified', async () => {
    const engine = rottenEngine();
    const { context } = await testVault({ engine, providers: 4 });
    await putObject(context, noise(10_000), { name: 'x' });
    const another = `b3:${'0'.repeat(64)}/00000000000001/b3:${'1'.repeat(64)}`;
    await engine.table('relocations').put(another, noise(100));
    engine.rot('relocations', another);
    expect((await verifyObject(context, 'x')).certificate.live.tolerates).toBe(1);
  });

  it('of a place stops no put', async () => {
    const engine = rottenEngine();
    const { context } = await vaultOn(engine);
    await putObject(context, noise(3_000, 1), { name: 'x' });
    for (const key of await keysOf(engine, 'places')) engine.rot('places', key);
    const later = { ...context, places: createPlaces(context) };
    await expect(putObject(later, noise(3_000, 2), { name: 'x' })).resolves.toMatchObject({ name: 'x' });
  });

  it('of chores stops neither puts nor housekeeping, and makes them due', async () => {
    const engine = rottenEngine();
    const { context } = await vaultOn(engine);
    const rotten = ['generation', 'recount', 'nameless'];
    for (const key of rotten) engine.rot('upkeep', key);
    await expect(putObject(context, noise(3_000), { name: 'x' })).resolves.toMatchObject({ name: 'x' });
    await engineGenerationOf(engine).adopt([], context.random);
    await generationOf(context).publishIfDue();
    await recountUsage(context);
    await scrubProviders(context);
    for (const key of rotten) await engine.table('upkeep').get(key);
    await recountIsDue(context);
  });

  it('of an unfinished put stops no other, and is gone when that is ended', async () => {
    const engine = rottenEngine();
    const { context } = await vaultOn(engine);
    const dead = { state: 'open', owner: 'dead' };
    const journal = '00'.repeat(8);
    await engine.table('journal').put(journal, Buffer.from(JSON.stringify({ v: 2, ...dead })));
    for (const key of [`${journal}`, `${journal}/000000000000`]) {
      await engine.table('resume').put(key, noise(50));
      engine.rot('resume', key);
    }
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-rotten-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'file'), noise(3_000));
    const file = await open(join(folder, 'file'));
    onTestFinished(() => file.close());
    await expect(putObject(context, file, { name: 'x', resume: true })).resolves.toMatchObject({ name: 'x' });
    const swept = await sweepJournal(context, (owner) => owner === 'dead');
    expect(swept.failures).toEqual([]);
    expect(await keysOf(engine, 'journal')).toEqual([]);
    expect(await keysOf(engine, 'resume')).toEqual([]);
  });

  it.each(['provider_profiles', 'provider_usage', 'provider_last_failure'])(
    'of %s keeps no catalog from being closed',
    async (table) => {
      const engine = rottenEngine();
      const catalog = await newWorld().open([new Probed('a')], { engine });
      const stored = { type: 'stored', bytes: 1_000, elapsedMs: 10, rttMs: 1 } as const;
      catalog.report('a', stored);
      await catalog.flush();
      engine.rot(table, 'a');
      catalog.report('a', stored);
      await catalog.close();
    },
  );

  it('of a retired version stops no gc, and is not written anew beside it', async () => {
    const engine = rottenEngine();
    const { context: atOnce } = await vaultOn(engine);
    const context = { ...atOnce, retention: createRetention(atOnce, 3_600_000) };
    for (const name of ['x', 'y']) {
      await putObject(context, noise(10_000, 1), { name });
      await putObject(context, noise(10_000, 2), { name });
    }
    const [first, second] = await keysOf(engine, 'retired');
    engine.rot('retired', first!);
    await engine.table('retired').delete(second!);
    expect(await retireUnnamed(context, 0)).toBe(1);
    expect(await retireUnnamed(context, 0)).toBe(0);
    expect(await keysOf(engine, 'retired')).toHaveLength(1);
  });

  it('of a journal keeps waiting neither gc, nor what was queued before a recovery', async () => {
    const engine = rottenEngine();
    const { context, blobs } = await vaultOn(engine);
    await putObject(context, noise(10_000, 1), { name: 'x' });
    const before = await blobs();
    const strays = [1, 2, 3].map((seed) => noise(50, seed));
    const at = strays.map((bytes) => ({ provider: 'p1', address: addressOf(blake3.hash(bytes)), bytes: 0 }));
    const { adapter } = context.directory.get('p1')!;
    for (const [i, { address }] of at.entries()) await adapter.store(address, [strays[i]!]);
    const [queued, intended] = at;
    await queueDeletes(context, [queued!]);
    await (await PutJournal.begin(context, undefined)).intend('p1', intended!.address);
    const [header, intents] = await keysOf(engine, 'journal');
    await generationOf(context).adopt([]);
    engine.rot('journal', header!);
    const judged = await scrubProviders(context, { minAgeMs: 0 });
    expect(judged.providers.map(({ error }) => error)).toEqual([undefined, undefined, undefined, undefined]);
    expect(await keysOf(engine, 'trash')).toEqual([]);
    expect(await blobs(), 'what the journal speaks for stays').toBe(before + 1);
    // What it speaks for is not known any more: nothing is taken for nobody's.
    engine.rot('journal', intents!);
    await adapter.store(at[2]!.address, [strays[2]!]);
    const kept = await scrubProviders(context, { minAgeMs: 0 });
    expect(kept.providers[0]!.error).toMatchObject({ kind: 'Corrupt', code: 'engine_corrupt' });
    expect(await blobs()).toBe(before + 2);
  });

  it('of usage is counted anew', async () => {
    const engine = rottenEngine();
    const catalog = await newWorld().open([new Probed('a')], { engine });
    catalog.report('a', { type: 'stored', bytes: 1_000, elapsedMs: 10, rttMs: 1 });
    await catalog.flush();
    engine.rot('provider_usage', 'a');
    expect(await catalog.recount(async () => new Map([['a', 1_000]]))).toBe(true);
    expect(catalog.snapshot()).toMatchObject([{ usedBytes: 1_000 }]);
    await catalog.flush();
    expect((await newWorld().open([new Probed('a')], { engine })).snapshot()).toMatchObject([
      { usedBytes: 1_000 },
    ]);
  });
});
