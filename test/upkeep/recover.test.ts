import { describe, expect, it } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import type { Clock } from '../../src/core/clock.ts';
import { systemClock } from '../../src/core/clock.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { createMemoryEngine } from '../../src/engine/index.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { PutJournal } from '../../src/records/journal.ts';
import { renewSlots } from '../../src/records/name-backup.ts';
import { readName } from '../../src/records/names.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { faultyVault } from '../helpers/faulty.ts';
import { rottenEngine } from '../helpers/rotten-engine.ts';
import { noise, readAll, type TestVault, testVault } from '../helpers/vault.ts';

const withoutState = (context: VaultContext): VaultContext => ({ ...context, engine: createMemoryEngine() });

/** Slots of a provider as they are now, to be put back later. */
async function remember({ adapter }: TestVault['providers'][number]): Promise<() => Promise<void>> {
  const kept = new Map<string, Uint8Array>();
  for await (const name of adapter.listSlots()) kept.set(name, (await adapter.readSlot(name))!.bytes);
  return async () => {
    for await (const name of adapter.listSlots()) if (!kept.has(name)) await adapter.deleteSlot(name);
    for (const [name, bytes] of kept) {
      await adapter.writeSlot(name, bytes, (await adapter.readSlot(name))?.version);
    }
  };
}

it('an object that another run removes meanwhile is not lost, and is not remembered', async () => {
  let remove = async (): Promise<unknown> => undefined;
  const wrap = (adapter: BlobAdapter): BlobAdapter => ({
    ...adapter,
    stat: async (...args) => {
      await remove();
      return adapter.stat(...args);
    },
  });
  const { context } = await testVault({ providers: 4, wrap });
  const { manifest } = await putObject(context, noise(10_000), { name: 'x' });
  let removal: Promise<unknown> | undefined;
  remove = () => {
    removal ??= deleteObject(context, 'x');
    return removal;
  };
  expect(await recoverVault(context)).toMatchObject({ lost: [], unconfirmed: { names: [] } });
  expect(removal).toBeDefined();
  expect(await context.engine.table('manifests').get(manifest)).toBeUndefined();
});

describe('a name that was removed while providers were away', () => {
  it('does not come back, though only those are left that were away', async () => {
    const { context, providers, gone } = await testVault({ providers: 3 });
    await putObject(context, noise(10_000), { name: 'x' });
    await putObject(context, noise(10_000, 2), { name: 'y' });
    const away = ['p1', 'p2'];
    const answering = { ...context.directory, all: () => providers };
    const failing: VaultContext = {
      ...context,
      directory: {
        ...answering,
        all: () => providers.map((one) => (away.includes(one.id) ? unreachable(one) : one)),
      },
    };
    const removed = await deleteObject(failing, 'x');
    expect(removed.unconfirmed.toSorted()).toEqual(away);
    expect(await renewSlots(context)).toMatchObject({ forks: [], failures: [] });
    gone.add('p3');
    const fresh = withoutState(context);
    expect(await recoverVault(fresh)).toMatchObject({ names: 1, deleted: 1, lost: [] });
    await expect(getObject(fresh, 'x')).rejects.toMatchObject({ code: 'name_not_found' });
  });

  it('is told of nothing more once all know', async () => {
    const { context } = await testVault({ providers: 3 });
    await putObject(context, noise(10_000), { name: 'x' });
    expect((await deleteObject(context, 'x')).unconfirmed).toEqual([]);
    for await (const _ of context.engine.table('slots_due').entries()) throw new Error('nothing is due');
  });
});

function unreachable(provider: TestVault['providers'][number]): TestVault['providers'][number] {
  const refuse = (): Promise<never> => Promise.reject(new TypeError('it is away'));
  return { ...provider, adapter: { ...provider.adapter, readSlot: refuse, writeSlot: refuse } };
}

describe('recover', () => {
  it('says that every provider has gone back to an older state, keeps its own, and copies it again', async () => {
    const { context, providers } = await testVault({ providers: 4 });
    await putObject(context, noise(10_000, 1), { name: 'x' });
    const back = await Promise.all(providers.map(remember));
    await putObject(context, noise(10_000, 2), { name: 'x' });
    await putObject(context, noise(10_000, 3), { name: 'only here' });
    await deleteObject(context, 'only here');
    for (const restore of back) await restore();
    expect(await recoverVault(context)).toMatchObject({ names: 1, rolledBack: ['x'], forks: [] });
    expect(await recoverVault(context)).toMatchObject({ names: 1, rolledBack: [] });
    const fresh = withoutState(context);
    await recoverVault(fresh);
    expect(Buffer.compare(await readAll(await getObject(fresh, 'x')), noise(10_000, 2))).toBe(0);
  });

  it('takes a put that is under way for none that was forgotten', async () => {
    const { context, providers } = await testVault({ providers: 4 });
    await putObject(context, noise(10_000, 1), { name: 'x' });
    const back = await Promise.all(providers.map(remember));
    await putObject(context, noise(10_000, 2), { name: 'x' });
    for (const restore of back) await restore();
    const journal = await PutJournal.begin(context, context.keys.nameKey('x'));
    await journal.intend('p1', addressOf(new Uint8Array(32)));
    expect(await recoverVault(context)).toMatchObject({ names: 1, rolledBack: [] });
    await journal.end();
  });

  it('brings slots up to date that stayed behind, though the state that was restored has no note of it', async () => {
    const { context, providers } = await testVault({ providers: 3 });
    await putObject(context, noise(10_000, 1), { name: 'x' });
    const back = await remember(providers[0]!);
    const newest = await putObject(context, noise(10_000, 2), { name: 'x' });
    await back();
    const fresh = withoutState(context);
    await recoverVault(fresh);
    await renewSlots(fresh);
    const only = withoutState({
      ...context,
      directory: { ...context.directory, all: () => [providers[0]!] },
    });
    await recoverVault(only);
    expect((await readName(only, 'x'))?.manifest).toBe(newest.manifest);
  });

  it('says how many names a state was behind in', async () => {
    const { context } = await testVault({ providers: 4 });
    await putObject(context, noise(10_000, 1), { name: 'x' });
    const old = withoutState(context);
    await recoverVault(old);
    await putObject(context, noise(10_000, 2), { name: 'x' });
    expect(await recoverVault(old)).toMatchObject({ names: 1, advanced: 1, rolledBack: [], forks: [] });
    expect(await recoverVault(old)).toMatchObject({ names: 1, advanced: 0 });
  });

  it('calls lost what has its root but too few shards left', async () => {
    const { context, providers } = await testVault({ policy: { packTargetBytes: 64 * 1024 } });
    await putObject(context, noise(700_000, 1), { name: 'torn' });
    await putObject(context, noise(700_000, 2), { name: 'whole' });
    const torn = await readAllAddresses(context, 'torn');
    for (const { adapter } of providers.slice(0, 8))
      for (const address of torn) await adapter.delete(address);
    const result = await recoverVault(withoutState(context));
    expect(result).toMatchObject({ names: 2, manifests: 2, lost: ['torn'], checked: expect.any(String) });
    expect(result.unconfirmed).toEqual({ providers: [], names: [] });
  });

  it('calls lost what has no manifest any more', async () => {
    const { context, providers } = await testVault({ providers: 3 });
    const { manifest } = await putObject(context, noise(10_000, 1), { name: 'x' });
    for (const { adapter } of providers) await adapter.delete(manifest);
    expect(await recoverVault(withoutState(context))).toMatchObject({ names: 1, manifests: 0, lost: ['x'] });
  });

  it('calls unconfirmed, not lost, what those may have that do not answer', async () => {
    const { context, faulty } = await faultyVault({ providers: 5 });
    await putObject(context, noise(700_000, 1), { name: 'x' });
    for (const adapter of faulty.slice(1)) adapter.setFaults({ error: 'Unavailable' });
    const { lost, unconfirmed } = await recoverVault(withoutState(context));
    expect(lost).toEqual([]);
    expect(unconfirmed.providers.map(({ id }) => id)).toEqual(['p2', 'p3', 'p4', 'p5']);
    for (const adapter of faulty) adapter.setFaults({});
    expect((await recoverVault(withoutState(context))).unconfirmed).toEqual({ providers: [], names: [] });
  });

  it('replaces a damaged record of a name by what the providers have', async () => {
    const { context } = await testVault({ providers: 3 });
    await putObject(context, noise(10_000, 1), { name: 'x' });
    await context.engine.table('names').put(context.keys.nameKey('x'), Uint8Array.of(1, 2, 3));
    expect(await recoverVault(context)).toMatchObject({ names: 1, lost: [] });
    expect(Buffer.compare(await readAll(await getObject(context, 'x')), noise(10_000, 1))).toBe(0);
  });

  it('brings back names that stand nowhere else any more, whichever other record is damaged', async () => {
    const engine = rottenEngine();
    const { context, providers } = await testVault({ engine, providers: 3 });
    for (const name of ['x', 'y']) await putObject(context, noise(10_000, 1), { name });
    const [damaged, other] = ['x', 'y'].sort((a, b) =>
      order(context.keys.nameKey(a), context.keys.nameKey(b)),
    );
    engine.rot('names', context.keys.nameKey(damaged!));
    for (const { adapter } of providers) await adapter.deleteSlot(context.keys.slotName(other!));
    expect(await recoverVault(context)).toMatchObject({ names: 2, lost: [] });
    expect((await recoverVault(withoutState(context))).names).toBe(2);
  });
});

const order = (a: string, b: string): number => (a < b ? -1 : 1);

async function readAllAddresses(context: VaultContext, name: string) {
  const { publicSegments } = await import('../../src/object/manifest-tree.ts');
  const { openManifest } = await import('../../src/records/manifests.ts');
  const { resolveReference } = await import('../../src/records/names.ts');
  const { DamageLog } = await import('../../src/object/damage.ts');
  const damage = new DamageLog();
  const { manifest } = await resolveReference(context, name);
  const { record } = await openManifest(context, manifest, damage);
  const packs = [];
  for await (const view of publicSegments(context, { manifest, record }, damage))
    packs.push(...view.record.packs);
  return packs.map(({ address }) => address);
}

describe('a provider that does not answer', () => {
  it.each([1, 2])(
    '%i of nine: recovery ends soon, with every name, and says who is missing',
    async (hung) => {
      const { context, faulty } = await faultyVault();
      for (let i = 0; i < 12; i++) await putObject(context, noise(20_000, i + 1), { name: `n${i}` });
      const started = performance.now();
      await recoverVault(withoutState(context));
      const healthyMs = performance.now() - started;
      for (const adapter of faulty.slice(0, hung)) adapter.setFaults({ hang: 1 });
      const before = performance.now();
      const { names, lost, unconfirmed } = await recoverVault(withoutState(context));
      expect(performance.now() - before).toBeLessThan(2 * healthyMs + 4000);
      expect({ names, lost, unsure: unconfirmed.names }).toEqual({ names: 12, lost: [], unsure: [] });
      expect(unconfirmed.providers.map(({ id }) => id)).toEqual(['p1', 'p2'].slice(0, hung));
    },
  );

  it('is not waited for by a removal, and told later', async () => {
    const { context, faulty } = await faultyVault({ providers: 5 });
    await putObject(context, noise(10_000), { name: 'x' });
    faulty[2]!.setFaults({ hang: 1 });
    const before = performance.now();
    expect((await deleteObject(context, 'x')).unconfirmed).toEqual(['p3']);
    expect(performance.now() - before).toBeLessThan(5000);
  });
});

/** Time that flies: every look at it is a tenth of a second later. */
function flyingClock(): Clock {
  let ahead = 0;
  const monotonic = (): number => {
    ahead += 100;
    return systemClock.monotonic() + ahead;
  };
  return { ...systemClock, monotonic };
}

describe('a provider that lists without end', () => {
  const endless = (adapter: BlobAdapter): BlobAdapter => ({
    ...adapter,
    async *listSlots() {
      yield* adapter.listSlots();
      for (let i = 0; ; i++) {
        yield i.toString(16).padStart(64, 'f');
        if (i % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    },
  });

  it('is heard no further once it has nothing to say of this vault', async () => {
    const { context } = await testVault({
      providers: 4,
      wrap: (adapter, i) => (i === 0 ? endless(adapter) : adapter),
    });
    await putObject(context, noise(10_000), { name: 'x' });
    const result = await recoverVault({ ...withoutState(context), clock: flyingClock() });
    expect(result).toMatchObject({ names: 1, manifests: 1, lost: [] });
    expect(result.unconfirmed.providers).toMatchObject([
      { id: 'p1', why: expect.stringContaining('on and on') },
    ]);
  });

  it('gains nothing by repeating a true pointer under other names', async () => {
    let truth: Uint8Array | undefined;
    const { context, providers } = await testVault({
      providers: 4,
      wrap: (adapter, i) =>
        i > 0
          ? adapter
          : { ...endless(adapter), readSlot: async () => truth && { bytes: truth, version: 'v' } },
    });
    await putObject(context, noise(10_000), { name: 'x' });
    const slot = context.keys.slotName('x');
    for (const { adapter } of providers.slice(1)) truth ??= (await adapter.readSlot(slot))?.bytes;
    const result = await recoverVault({ ...withoutState(context), clock: flyingClock() });
    expect(result).toMatchObject({ names: 1, lost: [] });
    expect(result.unconfirmed.providers.map(({ id }) => id)).toEqual(['p1']);
  });
});

it.each([
  ['one domain fewer than its copies must be in say nothing', 1, 0],
  ['as many domains may hide a version', 2, 2],
])('slots of one name that are damaged in %s', async (_, count, uncertain) => {
  const damaged = new Set<string>();
  let slot = '';
  const wrap = (adapter: BlobAdapter): BlobAdapter => ({
    ...adapter,
    readSlot: async (name, ...rest) => {
      if (name === slot && damaged.has(adapter.adapterId)) throw new HoldfastError('Corrupt', 'it is rotten');
      return adapter.readSlot(name, ...rest);
    },
    writeSlot: async (name, ...rest) => {
      if (name === slot) damaged.delete(adapter.adapterId);
      return adapter.writeSlot(name, ...rest);
    },
  });
  const { context } = await testVault({ providers: 5, wrap, policy: { minTolerates: 1 } });
  slot = context.keys.slotName('x');
  await putObject(context, noise(10_000), { name: 'x' });
  for (const { id, adapter } of context.directory.all()) {
    if (damaged.size < count && (await adapter.readSlot(slot)) !== undefined) damaged.add(id);
  }
  const some = [...damaged].sort();
  const told = await recoverVault(withoutState(context));
  expect(told).toMatchObject({ damagedSlots: count, lost: [] });
  expect(told.unconfirmed.providers.map(({ id }) => id).sort()).toEqual(some.slice(0, uncertain));
  // Where the name is known they are written anew.
  await recoverVault(context);
  await renewSlots(context);
  expect(await recoverVault(context)).toMatchObject({ damagedSlots: 0, unconfirmed: { providers: [] } });
});
