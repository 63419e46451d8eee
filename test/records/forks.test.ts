import { expect, it } from 'vitest';
import { HoldfastError } from '../../src/core/errors.ts';
import { createMemoryEngine } from '../../src/engine/index.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { PutResult } from '../../src/pipeline/put/put-result.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { RESERVED_NAME } from '../../src/records/generation-slot.ts';
import { backUpPointer, renewSlots } from '../../src/records/name-backup.ts';
import { listNames } from '../../src/records/name-listing.ts';
import { currentChange, pointName, readName } from '../../src/records/names.ts';
import { readSlotContent } from '../../src/records/slots.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { sweepJournal } from '../../src/upkeep/sweep.ts';
import { aroundWrites, touches } from '../helpers/engine.ts';
import { noise, readAll, testVault } from '../helpers/vault.ts';

/** The same vault on a machine that has lost its state, or on another one. */
const elsewhere = (context: VaultContext): VaultContext => ({ ...context, engine: createMemoryEngine() });

const put = (context: VaultContext, seed: number, name = 'x'): Promise<PutResult> =>
  putObject(context, noise(10_000, seed), { name });

async function contents(context: VaultContext): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for await (const listed of listNames(context)) {
    if (!('name' in listed)) continue;
    const { name } = listed;
    const bytes = await readAll(await getObject(context, name));
    found[name] = [1, 2, 3, 4].find((seed) => Buffer.compare(bytes, noise(10_000, seed)) === 0) ?? 0;
  }
  return found;
}

function withoutWritesOf({ directory }: VaultContext, slot: string): VaultContext['directory'] {
  const providers = directory.all().map((provider) => {
    const adapter = Object.create(provider.adapter) as Provider['adapter'];
    adapter.writeSlot = async (name, ...rest) => {
      if (name === slot) throw new HoldfastError('Unavailable', 'no answer');
      return provider.adapter.writeSlot(name, ...rest);
    };
    return { ...provider, adapter };
  });
  return { ...directory, all: () => providers };
}

const forkOf = ({ manifest }: PutResult, name = 'x'): string => `${name} (fork ${manifest.slice(-12)})`;

it('a version that ties with one the state had lost is put above it, and both contents are kept', async () => {
  const { context } = await testVault({ providers: 5 });
  const lost = await put(context, 1);
  const second = elsewhere(context);
  const { forks, pointerCopies } = await put(second, 2);
  const fork = { name: 'x', version: 1, manifest: lost.manifest, keptAs: forkOf(lost) };
  expect(forks).toEqual([fork]);
  expect(pointerCopies).toBeGreaterThan(1);
  expect((await readName(second, 'x'))!.version).toBe(2);
  // What was acknowledged last is what comes back, and nothing acknowledged is gone.
  const third = elsewhere(context);
  expect(await recoverVault(third)).toMatchObject({ names: 2, lost: [], forks: [] });
  expect(await contents(third)).toEqual({ x: 2, [forkOf(lost)]: 1 });
});

it('two homes with one key lose nothing of each other', async () => {
  const { context } = await testVault({ providers: 5 });
  await put(context, 1);
  const other = elsewhere(context);
  await recoverVault(other);
  const mine = await put(context, 2);
  const { forks } = await put(other, 3);
  expect(forks).toMatchObject([{ version: 2, manifest: mine.manifest }]);
  expect(await contents(other)).toEqual({ x: 3, [forkOf(mine)]: 2 });
  // The first home hears of it as soon as it writes the name again.
  expect((await put(context, 4)).forks).toHaveLength(1);
  const later = elsewhere(context);
  await recoverVault(later);
  expect(Object.values(await contents(later)).sort()).toEqual([2, 3, 4]);
});

it('a removal does not forget what it had not heard of', async () => {
  const { context } = await testVault({ providers: 5 });
  await put(context, 1);
  const other = elsewhere(context);
  await recoverVault(other);
  const unheard = await put(context, 2);
  expect((await deleteObject(other, 'x')).forks).toMatchObject([{ manifest: unheard.manifest }]);
  const later = elsewhere(context);
  expect(await recoverVault(later)).toMatchObject({ names: 1, deleted: 1, lost: [] });
  expect(await contents(later)).toEqual({ [forkOf(unheard)]: 2 });
});

it('a removal that finds forks keeps what the name stood for: another state may have named it', async () => {
  const { context } = await testVault({ providers: 5 });
  const mine = await put(context, 1);
  // Its changes are told to nobody, so that the first state takes itself for the latest.
  const untold = context.keys.slotName(RESERVED_NAME);
  const other = { ...elsewhere(context), directory: withoutWritesOf(context, untold) };
  expect((await put(other, 2)).forks).toMatchObject([{ keptAs: forkOf(mine) }]);
  expect((await deleteObject(context, 'x')).forks).toHaveLength(1);
  expect(await contents(other)).toMatchObject({ [forkOf(mine)]: 1 });
});

it.each([
  ['while it puts its version above a fork', false],
  ['when it has done so the second time, for it was cut off before', true],
])('a home that is lost %s loses nothing that was acknowledged', async (_, again) => {
  let left = 0;
  const wrap = (inner: Provider['adapter']): Provider['adapter'] => {
    const adapter = Object.create(inner) as Provider['adapter'];
    adapter.writeSlot = async (...slot) => {
      if (--left < 0) throw new HoldfastError('Unavailable', 'its home is gone');
      return inner.writeSlot(...slot);
    };
    return adapter;
  };
  for (let slots = 0; ; slots++) {
    left = Number.POSITIVE_INFINITY;
    const { context } = await testVault({ providers: 4, wrap });
    await put(context, 1);
    left = slots;
    const lost = elsewhere(context);
    await put(lost, 2);
    const isCut = left < 0;
    left = Number.POSITIVE_INFINITY;
    if (again) await put(lost, 3);
    const later = elsewhere(context);
    await recoverVault(later);
    expect(Object.values(await contents(later)), `after ${slots} slots`).toContain(1);
    if (!isCut) return;
  }
});

it('what another home removed is no fork where a slot stayed behind', async () => {
  const { context } = await testVault({ providers: 5 });
  const other = elsewhere(context);
  await put(context, 1);
  const slot = context.keys.slotName('x');
  const holders = await Promise.all(context.directory.all().map(({ adapter }) => adapter.readSlot(slot)));
  const late = holders.findIndex((held) => held !== undefined);
  const there = context.directory.all()[late]!.adapter;
  const old = holders[late]!.bytes;
  await deleteObject(context, 'x');
  await there.writeSlot(slot, old, (await there.readSlot(slot))?.version);
  expect((await put(other, 2)).forks).toEqual([]);
  expect(await contents(other)).toEqual({ x: 2 });
});

it('a put that finds forks and dies keeps what it replaced when it is swept', async () => {
  const { context } = await testVault({ providers: 5 });
  const mine = await put(context, 1);
  const untold = context.keys.slotName(RESERVED_NAME);
  const other = { ...elsewhere(context), directory: withoutWritesOf(context, untold) };
  await put(other, 2);
  let isDead = false;
  const engine = aroundWrites(context.engine, async (write, work) => {
    if (isDead) throw new HoldfastError('Unavailable', 'the process has died');
    isDead = write.ops.length === 1 && touches(write, 'retired');
    return work();
  });
  expect((await put({ ...context, engine }, 3)).forks).toHaveLength(1);
  expect(isDead).toBe(true);
  expect(await sweepJournal(context, () => true)).toMatchObject({ finished: 1, failures: [] });
  expect(await contents(other)).toMatchObject({ [forkOf(mine)]: 1 });
});

it('a kept fork that was removed does not come back', async () => {
  const { context } = await testVault({ providers: 5 });
  const lost = await put(context, 1);
  const second = elsewhere(context);
  await put(second, 2);
  await deleteObject(second, forkOf(lost));
  await recoverVault(second);
  expect(await contents(second)).toEqual({ x: 2 });
});

it('a kept fork that is removed by its address takes its name along', async () => {
  const { context } = await testVault({ providers: 5 });
  const lost = await put(context, 1);
  const second = elsewhere(context);
  await put(second, 2);
  expect((await deleteObject(second, lost.manifest)).name).toBe(forkOf(lost));
  expect(await contents(second)).toEqual({ x: 2 });
});

it.each(['put', 'rm'])(
  'a fork that its old name leads to again outlives a %s of that name',
  async (change) => {
    const { context } = await testVault({ providers: 5 });
    const { manifest } = await put(context, 1);
    const fork = forkOf({ manifest } as PutResult);
    await pointName(context, fork, { manifest, size: 10_000, createdMs: 1 });
    if (change === 'put') await put(context, 2);
    else expect(await deleteObject(context, 'x')).toMatchObject({ name: 'x', deleted: 0, queued: 0 });
    expect(await contents(context)).toEqual({ [fork]: 1, ...(change === 'put' ? { x: 2 } : {}) });
    await deleteObject(context, fork);
    await expect(getObject(context, manifest)).rejects.toMatchObject({ kind: 'NotFound' });
  },
);

it('a removal by address leaves alone what was put under the name meanwhile', async () => {
  const { context } = await testVault({ providers: 5 });
  const old = await put(context, 1);
  // The other writer comes between the look at the name and its removal.
  let meanwhile: Promise<unknown> | undefined;
  const engine = aroundWrites(context.engine, async (write, work) => {
    if (touches(write, 'names')) meanwhile ??= put(context, 2);
    await meanwhile;
    return work();
  });
  await deleteObject({ ...context, engine }, old.manifest);
  expect(meanwhile).toBeDefined();
  expect(await contents(context)).toEqual({ x: 2 });
});

it('recovery from slots that tie keeps and reports both, and leaves no tie behind', async () => {
  const { context, providers } = await testVault({ providers: 4 });
  const other = elsewhere(context);
  const [a, b] = [await putObject(context, noise(10_000, 1)), await putObject(context, noise(10_000, 2))];
  const target = (manifest: PutResult['manifest']) => ({ manifest, size: 10_000, createdMs: 1 });
  await backUpPointer(context, await pointName(context, 'x', target(a.manifest)), providers.slice(0, 2), 2);
  await backUpPointer(other, await pointName(other, 'x', target(b.manifest)), providers.slice(2), 2);
  const fresh = elsewhere(context);
  const result = await recoverVault(fresh);
  expect(result).toMatchObject({ names: 2, lost: [], forks: [{ name: 'x', version: 1 }] });
  expect(Object.values(await contents(fresh)).sort()).toEqual([1, 2]);
  const again = elsewhere(context);
  expect(await recoverVault(again)).toMatchObject({ names: 2, lost: [], forks: [] });
  expect(await contents(again)).toEqual(await contents(fresh));
});

it('writers of one state are no forks of each other, in whatever order their copies arrive', async () => {
  const { context, providers } = await testVault({ providers: 3 });
  const target = { manifest: undefined, size: 0, createdMs: 1 };
  const changes = [];
  for (let i = 0; i < 6; i++) changes.push(await pointName(context, 'x', target));
  for (const at of [3, 0, 5, 1, 4, 2]) {
    expect(await backUpPointer(context, changes[at]!, providers, 3)).toMatchObject({ forks: [] });
  }
  expect((await readName(context, 'x'))!.version).toBe(6);
  const puts = await Promise.all([1, 2, 3, 4].map((seed) => put(context, seed)));
  expect(puts.flatMap(({ forks }) => forks)).toEqual([]);
  expect((await readName(context, 'x'))!.version).toBe(10);
});

/** The same, of which some providers cannot be reached. */
function without({ directory }: VaultContext, away: ReadonlySet<string>): VaultContext['directory'] {
  const providers = directory.all().map((provider) => {
    const adapter = new Proxy(provider.adapter, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          const call = (): unknown => (value as (...args: unknown[]) => unknown).apply(target, args);
          if (!away.has(provider.id)) return call();
          const error = new HoldfastError('Unavailable', 'no answer');
          if (!String(key).startsWith('list')) return Promise.reject(error);
          return {
            [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }),
          };
        };
      },
    });
    return { ...provider, adapter };
  });
  const get = (id: string): Provider => providers.find((one) => one.id === id)!;
  const forStore: typeof directory.forStore = () => {
    const { eligible, ...rest } = directory.forStore();
    return { ...rest, eligible: eligible.map(({ id }) => get(id)) };
  };
  return { ...directory, all: () => providers, get, forStore };
}

it('a version that was replaced long ago and stayed in one slot is no fork because a provider does not answer', async () => {
  const { context } = await testVault({ providers: 7 });
  const away = new Set<string>();
  const state = { ...context, directory: without(context, away) };
  const ids = context.directory.all().map(({ id }) => id);
  const slot = context.keys.slotName('x');
  const version = async (id: string): Promise<number | undefined> => {
    const there = await context.directory.get(id)!.adapter.readSlot(slot);
    return there && readSlotContent(context, there.bytes)?.pointer.version;
  };
  const holding = async (...versions: number[]): Promise<string[]> => {
    const held = await Promise.all(ids.map(version));
    return ids.filter((_, i) => versions.includes(held[i]!));
  };
  await put(state, 1);
  // As a sweep does for a put that died before it copied its name.
  const change = (await currentChange(state, context.keys.nameKey('x')))!;
  await backUpPointer(state, change, state.directory.all(), ids.length);
  await put(state, 2);
  const stale = (await holding(1))[0]!;
  // The state goes on under another writer, and its ancestors do not reach back any more.
  away.add(stale);
  await recoverVault(state);
  away.clear();
  for (let seed = 0; seed < 20; seed++) await put(state, 2 + (seed % 3));
  expect(await version(stale)).toBe(1);
  const [current] = await holding(22);
  away.add(current!);
  const last = await put(state, 2);
  expect(last.forks).toEqual([]);
  expect(last.pointerUnconfirmed).toContain(stale);
  expect(await version(stale)).toBe(1);
  away.clear();
  const { forks, failures } = await renewSlots(state);
  expect([forks, failures]).toEqual([[], []]);
  expect(await version(stale)).toBe(23);
});
