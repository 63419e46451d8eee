import { describe, expect, it } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import { createHedge } from '../../src/core/hedge.ts';
import { NODE_READS } from '../../src/core/straggler-policies.ts';
import { DamageLog } from '../../src/object/damage.ts';
import { fetchNode } from '../../src/object/fetch-node.ts';
import { rendezvousOrder } from '../../src/object/rendezvous.ts';
import { storeNode } from '../../src/object/store-node.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { verifyObject } from '../../src/upkeep/verify.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import { noise, readAll, testVault } from '../helpers/vault.ts';

/** Ends only when told to. */
const hang = (signal?: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason), { once: true }));

/** A vault whose providers in `hung` take every request and never answer. */
async function hungVault(options: { readonly clock?: FakeClock; readonly deaf?: boolean } = {}) {
  const hung = new Set<string>();
  const signalOf = (signal: AbortSignal | undefined) => (options.deaf ? undefined : signal);
  const wrap = (adapter: BlobAdapter): BlobAdapter => {
    const unless = <T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> =>
      hung.has(adapter.adapterId) ? hang(signalOf(signal)) : work();
    return {
      ...adapter,
      store: (address, parts, o) => unless(o?.signal, () => adapter.store(address, parts, o)),
      fetch: (address, o) => unless(o?.signal, () => adapter.fetch(address, o)),
      fetchRange: (address, at, into, o) => unless(o?.signal, () => adapter.fetchRange(address, at, into, o)),
      delete: (address, o) => unless(o?.signal, () => adapter.delete(address, o)),
      readSlot: (name, o) => unless(o?.signal, () => adapter.readSlot(name, o)),
    };
  };
  const policy = { packTargetBytes: 65_536 };
  const vault = await testVault({ wrap, policy, chunkBytes: 65_536 });
  const { directory } = vault.context;
  const respondsToProbe = async (id: string): Promise<boolean> => !hung.has(id);
  const { clock } = options;
  const context: VaultContext = {
    ...vault.context,
    directory: { ...directory, respondsToProbe },
    ...(clock === undefined ? {} : { clock, nodeReads: createHedge(clock, NODE_READS) }),
  };
  return { ...vault, context, hung };
}

const firstTwo = ({ blake3, directory }: VaultContext, bytes: Uint8Array): string[] => {
  const ids = directory.all().map(({ id }) => id);
  return rendezvousOrder(blake3, addressOf(blake3.hash(bytes)), ids).slice(0, 2);
};

describe('a manifest node', () => {
  const bytes = noise(5_000);
  const copies = { wanted: 4, needed: 3 };
  const outbox = { intend: async (): Promise<void> => {} };

  it('is read from the third when the first two never answer, not even to being stopped', async () => {
    const clock = new FakeClock();
    const { context, providers, hung } = await hungVault({ clock, deaf: true });
    const { address } = await storeNode(context, bytes, providers, copies, outbox);
    for (const id of firstTwo(context, bytes)) hung.add(id);
    const reading = fetchNode(context, address, new DamageLog());
    await clock.advance(500);
    expect(Buffer.compare(await reading, bytes)).toBe(0);
    // That was too little time to hold it against them. The next read gives them more, and the one after does not ask them.
    for (const ms of [500, 0]) {
      const again = fetchNode(context, address, new DamageLog());
      await clock.advance(ms);
      expect(Buffer.compare(await again, bytes)).toBe(0);
    }
  });

  it('that nobody who answers has is given up on soon by who can do without', async () => {
    const clock = new FakeClock();
    const { context, hung } = await hungVault({ clock, deaf: true });
    const [id] = firstTwo(context, bytes);
    hung.add(id!);
    const address = addressOf(context.blake3.hash(bytes));
    const reading = fetchNode(context, address, new DamageLog(), undefined, 2_000).catch((error) => error);
    await clock.advance(3_000);
    expect(await reading).toMatchObject({ kind: 'Unavailable', code: 'node_unavailable' });
  });

  it('is stored at others in place of one that hangs', async () => {
    const clock = new FakeClock();
    const { context, providers, hung } = await hungVault({ clock, deaf: true });
    const [id] = firstTwo(context, bytes);
    hung.add(id!);
    const storing = storeNode(context, bytes, providers, copies, outbox);
    await clock.advance(1_400);
    const stored = await storing;
    expect(stored.providers).toHaveLength(4);
    expect(stored.providers).not.toContain(id);
    expect(context.directory.isLate(id!)).toBe(true);
  });

  it('is content with the copies that are needed when nobody is left to take the place of one that hangs', async () => {
    const clock = new FakeClock();
    const { context, providers, hung } = await hungVault({ clock, deaf: true });
    const four = providers.slice(0, 4);
    hung.add('p2');
    const storing = storeNode(context, bytes, four, copies, outbox);
    await clock.advance(1_400);
    expect((await storing).providers.toSorted()).toEqual(['p1', 'p3', 'p4']);
  });

  it('waits for a copy that is needed, however late', async () => {
    const clock = new FakeClock();
    const { context, providers, hung } = await hungVault({ clock, deaf: true });
    hung.add('p2');
    const stop = new AbortController();
    let over = false;
    const storing = storeNode(context, bytes, providers.slice(0, 3), copies, outbox, stop.signal)
      .catch((error) => error)
      .finally(() => {
        over = true;
      });
    await clock.advance(20_000);
    expect(over).toBe(false);
    stop.abort();
    await clock.advance(1_020);
    expect(await storing).toMatchObject({ kind: 'Aborted' });
  });
});

describe('two of nine providers that hang', () => {
  it('do not keep a whole copy of a small object from being read elsewhere', async () => {
    const { context, hung, providers } = await hungVault();
    const bytes = noise(1_000);
    await putObject(context, bytes, { name: 'x' });
    for (const { id } of providers) {
      hung.clear();
      for (const each of [id, 'p1']) hung.add(each);
      for (const each of providers) context.directory.heard(each.id);
      expect(Buffer.compare(await readAll(await getObject(context, 'x')), bytes), id).toBe(0);
    }
  });

  it('are unconfirmed, each decided once, and the rest of a verification goes on', async () => {
    const { context, hung } = await hungVault();
    await putObject(context, noise(1_500_000), { name: 'x' });
    for (const id of ['p3', 'p6']) hung.add(id);
    const asked: string[] = [];
    const { respondsToProbe } = context.directory;
    const noting = (id: string): Promise<boolean> => {
      asked.push(id);
      return respondsToProbe(id);
    };
    const counting = { ...context.directory, respondsToProbe: noting };
    const result = await verifyObject({ ...context, directory: counting }, 'x');
    expect(asked.filter((id) => hung.has(id)).toSorted()).toEqual(['p3', 'p6']);
    expect(result.readable).toBe(true);
    expect(new Set(result.damage.map(({ provider }) => provider))).toEqual(new Set(['p3', 'p6']));
    expect(new Set(result.damage.map(({ problem, detail }) => `${problem}: ${detail}`))).toEqual(
      new Set(['unavailable: it does not answer, while others do: not confirmed']),
    );
    expect(result.nodes.leastCopies).toBeGreaterThanOrEqual(1);
  });

  it('but one that is slow and answers probes is waited for by a verification', async () => {
    const { context: plain, providers } = await testVault();
    const slow = providers.find(({ id }) => id === 'p3')!.adapter as {
      fetchRange: BlobAdapter['fetchRange'];
    };
    const quick = slow.fetchRange.bind(slow);
    await putObject(plain, noise(300_000), { name: 'x' });
    slow.fetchRange = async (...args) => {
      await new Promise((resolve) => setTimeout(resolve, 700));
      return quick(...args);
    };
    let asked = 0;
    const respondsToProbe = async (): Promise<boolean> => ++asked > 0;
    const result = await verifyObject({ ...plain, directory: { ...plain.directory, respondsToProbe } }, 'x');
    expect([result.intact, asked > 0]).toEqual([true, true]);
  });

  it('have what is removed there queued, and are not asked for the next', async () => {
    const { context, hung } = await hungVault();
    await putObject(context, noise(1_500_000), { name: 'x' });
    for (const id of ['p3', 'p6']) hung.add(id);
    const { queued } = await deleteObject(context, 'x');
    expect(queued).toBeGreaterThan(2);
    expect(['p3', 'p6'].map((id) => context.directory.isResponsive(id))).toEqual([false, false]);
  });
});

it('where every provider is slow, a small read that others were asked beside is held against nobody', async () => {
  const { context: plain, providers } = await testVault();
  await putObject(plain, noise(1_000), { name: 'x' });
  for (const { adapter } of providers as { adapter: { fetchRange: BlobAdapter['fetchRange'] } }[]) {
    const quick = adapter.fetchRange.bind(adapter);
    adapter.fetchRange = async (...args) => {
      await new Promise((resolve) => setTimeout(resolve, 600));
      return quick(...args);
    };
  }
  const failures: string[] = [];
  const report: VaultContext['directory']['report'] = (id, { error }) => {
    if (error !== undefined) failures.push(`${id}: ${error}`);
  };
  const context = { ...plain, directory: { ...plain.directory, report } };
  await readAll(await getObject(context, 'x'));
  expect(failures).toEqual([]);
});

it('a small read asks another after hedge_after_ms where nothing was measured', async () => {
  const clock = new FakeClock();
  const { context: plain, providers } = await testVault({ policy: { hedgeAfterMs: 70 } });
  await putObject(plain, noise(1_000), { name: 'x' });
  const asked: string[] = [];
  for (const { id, adapter } of providers as {
    id: string;
    adapter: { fetchRange: BlobAdapter['fetchRange'] };
  }[]) {
    const real = adapter.fetchRange.bind(adapter);
    adapter.fetchRange = (...args) => (asked.push(id) > 1 ? real(...args) : hang(args[3]?.signal));
  }
  const directory = { ...plain.directory, p95Ms: () => undefined };
  const reading = getObject({ ...plain, clock, directory }, 'x').then(readAll);
  await expect.poll(() => asked).toHaveLength(1);
  await clock.advance(69);
  expect(asked).toHaveLength(1);
  await clock.advance(1);
  await expect.poll(() => asked).toHaveLength(2);
  expect(await reading).toHaveLength(1_000);
});
