import { expect, it } from 'vitest';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { secureRandom } from '../../src/core/random.ts';
import { createMemoryEngine } from '../../src/engine/index.ts';
import { deriveSubkeys, vaultKeysOf } from '../../src/keys/derivation.ts';
import { DamageLog } from '../../src/object/damage.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { PutJournal } from '../../src/records/journal.ts';
import { knowsManifest, loadRoot } from '../../src/records/manifests.ts';
import { createPlaces } from '../../src/records/places.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { scrubProviders } from '../../src/upkeep/gc.ts';
import { Reachable } from '../../src/upkeep/reachable.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { retireDue } from '../../src/upkeep/retention.ts';
import { retireUnnamed } from '../../src/upkeep/unnamed.ts';
import { allBlobs } from '../helpers/faulty.ts';
import { noise, readAll, type TestVault, type TestVaultOptions, testVault } from '../helpers/vault.ts';
import { blake3 } from '../providers/deps.ts';

const HOUR = 3_600_000;
const whole = noise(200_000, 7);
const small = noise(900, 8);

/** A vault that has entered itself, with a large and a small object. */
async function filled(options: TestVaultOptions = {}): Promise<TestVault> {
  const vault = await testVault({ providers: 6, ...options });
  const context = { ...vault.context, places: createPlaces(vault.context) };
  await putObject(context, whole, { name: 'whole' });
  await putObject(context, small, { name: 'small' });
  return { ...vault, context };
}

async function expectAll(context: VaultContext): Promise<void> {
  for (const [name, bytes] of [
    ['whole', whole],
    ['small', small],
  ] as const) {
    expect(Buffer.compare(await readAll(await getObject(context, name)), bytes)).toBe(0);
  }
}

/** Leaves blobs that no record knows, as a provider that was restored from a backup has them. */
async function leaveStrays({ providers }: TestVault, count = 3): Promise<string[]> {
  const strays: string[] = [];
  for (const { id, adapter } of providers.slice(0, 2)) {
    for (let i = 0; i < count; i++) {
      const bytes = noise(50, 1_000 + i);
      const address = addressOf(blake3.hash(bytes));
      await adapter.store(address, [bytes]);
      strays.push(`${id}/${address}`);
    }
  }
  return strays.sort();
}

const orphansIn = ({ providers }: Awaited<ReturnType<typeof scrubProviders>>): number =>
  providers.reduce((sum, { orphans }) => sum + orphans, 0);
const deletedIn = ({ providers }: Awaited<ReturnType<typeof scrubProviders>>): number =>
  providers.reduce((sum, { deleted }) => sum + deleted, 0);

const now = { minAgeMs: 0 };

it('blobs of a provider that was restored from a backup are found by listing, and go; objects stay', async () => {
  const vault = await filled();
  const before = await allBlobs(vault);
  await leaveStrays(vault);
  const dry = await scrubProviders(vault.context, { ...now, dryRun: true });
  expect([orphansIn(dry), deletedIn(dry)]).toEqual([6, 0]);
  const result = await scrubProviders(vault.context, now);
  expect(result.unread).toEqual([]);
  expect([orphansIn(result), deletedIn(result)]).toEqual([6, 6]);
  expect(await allBlobs(vault)).toEqual(before);
  expect(orphansIn(await scrubProviders(vault.context, now))).toBe(0);
  await expectAll(vault.context);
});

it('what is young stays, by the time that the provider tells', async () => {
  const vault = await filled();
  const strays = await leaveStrays(vault);
  const young = await scrubProviders(vault.context);
  expect(young.providers.map((scrub) => scrub.young)).toEqual([3, 3, 0, 0, 0, 0]);
  expect(orphansIn(young)).toBe(0);
  expect(await allBlobs(vault)).toEqual(expect.arrayContaining(strays));
  const later = { ...vault.context.clock, now: () => Date.now() + 25 * HOUR };
  expect(deletedIn(await scrubProviders({ ...vault.context, clock: later }))).toBe(6);
});

it('where another vault stores too, nothing is deleted but told', async () => {
  const vault = await filled();
  const keys = vaultKeysOf(deriveSubkeys(secureRandom(32)));
  const other = { ...vault.context, keys, engine: createMemoryEngine() };
  await putObject({ ...other, places: createPlaces(other) }, whole, { name: 'whole' });
  const before = await allBlobs(vault);
  const result = await scrubProviders(vault.context, now);
  expect(orphansIn(result)).toBeGreaterThan(0);
  expect(deletedIn(result)).toBe(0);
  expect(new Set(result.providers.map(({ kept }) => kept))).toEqual(new Set(['shared']));
  expect(await allBlobs(vault)).toEqual(before);
});

it('a vault that entered itself nowhere is known by its slots', async () => {
  const vault = await filled();
  const keys = vaultKeysOf(deriveSubkeys(secureRandom(32)));
  // As an earlier version does it.
  const other = { ...vault.context, keys, engine: createMemoryEngine(), places: { enter: async () => {} } };
  await putObject(other, whole, { name: 'whole' });
  for (const { adapter } of vault.providers)
    await adapter.writeSlot(keys.slotName('y'), noise(90), undefined);
  const before = await allBlobs(vault);
  expect(deletedIn(await scrubProviders(vault.context, now))).toBe(0);
  expect(await allBlobs(vault)).toEqual(before);
});

it('what a put that runs has noted stays, whoever runs it', async () => {
  const vault = await filled();
  const strays = await leaveStrays(vault);
  const journal = await PutJournal.begin(
    { ...vault.context, owner: async () => 'another process' },
    undefined,
  );
  for (const stray of strays) {
    const [provider, address] = stray.split('/') as [string, BlobAddress];
    await journal.intend(provider, address);
  }
  const result = await scrubProviders(vault.context, now);
  expect(orphansIn(result)).toBe(0);
  expect(await allBlobs(vault)).toEqual(expect.arrayContaining(strays));
});

it('an object that is put while the scrub lists keeps all that it has', async () => {
  let during: (() => Promise<void>) | undefined;
  const wrap = (adapter: BlobAdapter): BlobAdapter => ({
    ...adapter,
    async *list(options) {
      const put = during;
      during = undefined;
      await put?.();
      yield* adapter.list(options);
    },
  });
  const vault = await filled({ wrap });
  const late = noise(150_000, 9);
  during = async () => {
    await putObject(vault.context, late, { name: 'late' });
  };
  const result = await scrubProviders(vault.context, now);
  expect(during).toBeUndefined();
  expect(orphansIn(result)).toBe(0);
  expect(Buffer.compare(await readAll(await getObject(vault.context, 'late')), late)).toBe(0);
});

it('while a manifest cannot be read to its end, nothing is judged an orphan’s loss', async () => {
  const vault = await filled();
  await leaveStrays(vault);
  const { manifest } = await putObject(vault.context, noise(5_000_000, 3), { name: 'gone' });
  await vault.context.engine.table('manifests').delete(manifest);
  for (const { adapter } of vault.providers) await adapter.delete(manifest);
  const before = await allBlobs(vault);
  const result = await scrubProviders(vault.context, now);
  expect(result.unread).toEqual([manifest]);
  expect(deletedIn(result)).toBe(0);
  expect(await allBlobs(vault)).toEqual(before);
});

it('a state that is not the latest deletes nothing', async () => {
  const vault = await filled();
  await leaveStrays(vault);
  // Another home with the same key, which this state has not heard of.
  const twin = { ...vault.context, engine: createMemoryEngine() };
  await putObject(twin, noise(50_000, 4), { name: 'theirs' });
  const before = await allBlobs(vault);
  const result = await scrubProviders(vault.context, now);
  expect(deletedIn(result)).toBe(0);
  expect(result.providers.map(({ kept }) => kept)).toContain('behind');
  expect(await allBlobs(vault)).toEqual(before);
});

it('providers that were exchanged in the configuration lose nothing', async () => {
  const vault = await filled();
  const [first, second] = vault.providers as [TestVault['providers'][0], TestVault['providers'][0]];
  const crossed = [
    { ...first, adapter: second.adapter },
    { ...second, adapter: first.adapter },
    ...vault.providers.slice(2),
  ];
  const directory = {
    ...vault.context.directory,
    all: () => crossed,
    get: (id: string) => crossed.find((provider) => provider.id === id),
  };
  const before = await allBlobs(vault);
  const { providers } = await scrubProviders({ ...vault.context, directory }, now);
  // Nobody else has stored them: they are what another provider ought to have.
  expect(providers.slice(0, 2).map(({ kept }) => kept)).toEqual(['needed', 'needed']);
  expect(await allBlobs(vault)).toEqual(before);
  await expectAll(vault.context);
});

it('a copy that another provider has too, in a place of its own, goes', async () => {
  const vault = await filled();
  const before = await allBlobs(vault);
  const packs = before.filter((blob) => blob.startsWith('p1/')).map((blob) => blob.slice(3) as BlobAddress);
  const { adapter } = vault.providers[0]!;
  const other = vault.providers[1]!.adapter;
  for (const address of packs) await other.store(address, [await adapter.fetch(address)]);
  const added = (await allBlobs(vault)).length - before.length;
  expect(added).toBeGreaterThan(0);
  const result = await scrubProviders(vault.context, now);
  // Nodes may have a copy anywhere.
  expect(deletedIn(result)).toBeGreaterThan(0);
  await expectAll(vault.context);
});

it('more addresses than are kept at once are looked at a part at a time', () => {
  const addresses = Array.from({ length: 2_000 }, (_, i) => addressOf(blake3.hash(noise(4, i + 1))));
  const seen: BlobAddress[] = [];
  let parts = 0;
  for (let from = 0; from < 256; parts++) {
    const part = new Reachable(from, 300);
    for (const [i, address] of addresses.entries()) {
      if (i % 2 === 0) part.addNode(address);
      else part.addPack('p', address);
    }
    for (const address of addresses) {
      expect(part.holds('p', address)).toBe(part.covers(address));
      if (part.covers(address)) seen.push(address);
    }
    from = part.to;
  }
  expect(parts).toBeGreaterThan(5);
  expect(seen.sort()).toEqual([...addresses].sort());
});

it('a version that its name left without anybody noting it is retired, and nothing of it is left', async () => {
  const vault = await filled();
  const { context } = vault;
  const blobs = (await allBlobs(vault)).length;
  const kept = {
    ...context,
    retention: { ...context.retention, retire: async () => ({ deleted: 0, queued: 0 }) },
  };
  await putObject(kept, noise(150_000, 9), { name: 'left' });
  const between = await allBlobs(vault);
  await putObject(kept, small, { name: 'left' });
  for await (const [key] of context.engine.table('retired').entries())
    await context.engine.table('retired').delete(key);
  expect(await retireUnnamed(context, HOUR)).toBe(0);
  expect(await retireUnnamed(context, 0)).toBe(1);
  expect(await retireUnnamed(context, 0)).toBe(0);
  expect(await retireDue(context)).toMatchObject({ retired: 1 });
  const now = await allBlobs(vault);
  expect(now.length).toBeLessThan(between.length);
  expect(now.length).toBeGreaterThan(blobs);
  await expectAll(context);
  expect(Buffer.compare(await readAll(await getObject(context, 'left')), small)).toBe(0);
});

it('what was stored while a clock was ahead is young only where anything can be', async () => {
  const { context } = await filled();
  const kept = {
    ...context,
    retention: { ...context.retention, retire: async () => ({ deleted: 0, queued: 0 }) },
  };
  const ahead = { ...context.clock, now: () => Date.now() + 24 * HOUR };
  await putObject({ ...kept, clock: ahead }, noise(150_000, 9), { name: 'left' });
  await putObject(kept, small, { name: 'left' });
  for await (const [key] of context.engine.table('retired').entries())
    await context.engine.table('retired').delete(key);
  expect(await retireUnnamed(context, 1)).toBe(0);
  expect(await retireUnnamed(context, 0)).toBe(1);
});

it('an object whose name only the providers still know is not taken for one without a name', async () => {
  const { context } = await filled();
  await context.engine.table('names').delete(context.keys.nameKey('whole'));
  expect(await retireUnnamed(context, 0)).toBe(0);
});

it('after a recovery nothing is deleted while a provider holds a manifest of a later version', async () => {
  const vault = await filled();
  const { manifest } = await putObject(vault.context, noise(700_000, 21));
  const { adapter } = vault.providers[3]!;
  const fresh: VaultContext = { ...vault.context, engine: createMemoryEngine() };
  await recoverVault(fresh);
  await leaveStrays(vault);
  const root = (await loadRoot(vault.context, manifest, new DamageLog())).slice();
  const version = Buffer.from(root).indexOf('gversion') + 'gversion'.length;
  expect(root[version]).toBe(1);
  root[version] = 2;
  const address = addressOf(blake3.hash(root));
  await adapter.store(address, [root]);
  expect(deletedIn(await scrubProviders(fresh, { minAgeMs: 0 }))).toBe(0);
  await adapter.delete(address);
  expect(deletedIn(await scrubProviders(fresh, { minAgeMs: 0 }))).toBe(6);
});

it('objects without a name outlive the loss of the state: gc finds them before it judges anything', async () => {
  const vault = await filled();
  const kept = [
    await putObject(vault.context, noise(700_000, 21)),
    await putObject(vault.context, noise(500, 22)),
  ];
  const removed = await putObject(vault.context, noise(300_000, 23));
  await deleteObject(vault.context, removed.manifest);
  const fresh: VaultContext = { ...vault.context, engine: createMemoryEngine() };
  await recoverVault(fresh);
  await leaveStrays(vault);

  const listed = vault.providers[2]!.adapter.list;
  vault.providers[2]!.adapter.list = () => {
    throw new HoldfastError('Unavailable', 'it does not answer');
  };
  const without = await scrubProviders(fresh, { minAgeMs: 0 });
  expect(deletedIn(without)).toBe(0);
  expect(without.providers[0]).toMatchObject({ kept: 'unlisted' });
  vault.providers[2]!.adapter.list = listed;

  const again = await scrubProviders(fresh, { minAgeMs: 0 });
  expect(without.remembered + again.remembered).toBe(2);
  expect(deletedIn(again)).toBe(6);
  expect(Buffer.compare(await readAll(await getObject(fresh, kept[0]!.manifest)), noise(700_000, 21))).toBe(
    0,
  );
  expect(Buffer.compare(await readAll(await getObject(fresh, kept[1]!.manifest)), noise(500, 22))).toBe(0);
  await expectAll(fresh);
  expect(await scrubProviders(fresh, { minAgeMs: 0 })).toMatchObject({ remembered: 0 });
  expect(await knowsManifest(fresh, kept[0]!.manifest)).toBe(true);
  expect(await knowsManifest(fresh, removed.manifest)).toBe(false);
});
