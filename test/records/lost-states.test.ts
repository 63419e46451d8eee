import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlobAddress } from '../../src/core/address.ts';
import { createMemoryEngine } from '../../src/engine/index.ts';
import { type Pointer, sealPointer } from '../../src/manifest/pointer.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { backUpPointer } from '../../src/records/name-backup.ts';
import { listNames } from '../../src/records/name-listing.ts';
import { pointName, readName } from '../../src/records/names.ts';
import { retiring } from '../../src/records/retired.ts';
import { slotContent } from '../../src/records/slots.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { noise, readAll, type TestVault, testVault } from '../helpers/vault.ts';

const withoutState = (context: VaultContext): VaultContext => ({ ...context, engine: createMemoryEngine() });

const target = (manifest: BlobAddress | undefined) => ({ manifest, size: 1, createdMs: 1 });

/** What every name stands for. */
async function standing(context: VaultContext): Promise<Record<string, BlobAddress>> {
  const found: Record<string, BlobAddress> = {};
  for await (const listed of listNames(context)) {
    if ('name' in listed) found[listed.name] = (await readName(context, listed.name))!.manifest!;
  }
  return found;
}

/** Slots of a provider as they are now, to be put back later. */
async function remember({ adapter }: TestVault['providers'][number]): Promise<() => Promise<void>> {
  const kept = new Map<string, Uint8Array>();
  for await (const name of adapter.listSlots()) kept.set(name, (await adapter.readSlot(name))!.bytes);
  return async () => {
    for (const [name, bytes] of kept) {
      await adapter.writeSlot(name, bytes, (await adapter.readSlot(name))?.version);
    }
  };
}

describe('what was acknowledged of a name', () => {
  it('is the newest after the state was lost twice, with the older kept beside it', async () => {
    const { context, gone } = await testVault({ providers: 5 });
    const first = await putObject(context, noise(10_000, 1), { name: 'x' });
    const second = await putObject(withoutState(context), noise(10_000, 2), { name: 'x' });
    expect(second.forks).toHaveLength(1);
    const fresh = withoutState(context);
    await recoverVault(fresh);
    expect((await readName(fresh, 'x'))!.manifest).toBe(second.manifest);
    expect(Object.values(await standing(fresh)).sort()).toEqual([first.manifest, second.manifest].sort());
    expect(await readAll(await getObject(fresh, 'x'))).toEqual(noise(10_000, 2));
    expect(gone.size).toBe(0);
  });

  it('outlives a copy of the state that writes with the same writer, for up to sixteen versions', async () => {
    const { context, providers } = await testVault({ providers: 4 });
    await backUpPointer(context, await pointName(context, 'x', target(object(0))), providers, 4);
    const copy = withoutState(context);
    for await (const [key, value] of context.engine.table('vault').entries()) {
      await copy.engine.table('vault').put(key, value);
    }
    await recoverVault(copy);
    await backUpPointer(context, await pointName(context, 'x', target(object(1))), providers, 4);
    for (let i = 2; i < 5; i++) await pointName(copy, 'x', target(object(i)));
    const change = await pointName(copy, 'x', target(object(5)));
    expect((await backUpPointer(copy, change, providers, 4)).forks).toMatchObject([{ manifest: object(1) }]);
    expect(Object.values(await standing(copy)).sort()).toEqual([object(1), object(5)].sort());
  });

  it('is not joined by what had been replaced, when a provider comes back that missed 20 versions', async () => {
    const { context, providers, gone } = await testVault({ providers: 4 });
    await putObject(context, noise(10_000, 99), { name: 'x' });
    await pointAt(context, providers, 'x', 1);
    const restore = await remember(providers[0]!);
    const last = await pointAt(context, providers, 'x', 20);
    await restore();
    const result = await backUpPointer(context, { ...last, replaced: undefined }, providers, 4);
    expect(result).toMatchObject({ copies: 4, forks: [] });
    await restore();
    const fresh = withoutState(context);
    expect(await recoverVault(fresh)).toMatchObject({ forks: [] });
    expect(await standing(fresh)).toEqual({ x: last.pointer.manifest });
    expect(gone.size).toBe(0);
  });

  it('is kept when a provider has what no version is shown to follow, further back than can be shown', async () => {
    const { context, providers } = await testVault({ providers: 4 });
    const lost = await putObject(context, noise(10_000, 1), { name: 'x' });
    const restore = await Promise.all(providers.map(remember));
    const other = withoutState(context);
    await Promise.all(providers.map(({ adapter }) => adapter.deleteSlot(context.keys.slotName('x'))));
    const last = await pointAt(other, providers, 'x', 24);
    await Promise.all(restore.map((again) => again()));
    const { forks } = await backUpPointer(other, { ...last, replaced: undefined }, providers, 4);
    expect(forks).toMatchObject([{ version: 1, manifest: lost.manifest }]);
    expect(Object.values(await standing(other))).toContain(lost.manifest);
  });

  it('is no fork once this state is about to delete it, however far back it lies', async () => {
    const { context, providers } = await testVault({ providers: 4 });
    const replaced = await putObject(context, noise(10_000, 1), { name: 'x' });
    const restore = await Promise.all(providers.map(remember));
    const other = withoutState(context);
    await Promise.all(providers.map(({ adapter }) => adapter.deleteSlot(context.keys.slotName('x'))));
    const last = await pointAt(other, providers, 'x', 24);
    await Promise.all(restore.map((again) => again()));
    const { manifest } = replaced;
    const times = { sinceMs: 1, dueMs: 1, attempts: 0, journal: undefined };
    const nameKey = context.keys.nameKey('x');
    await other.engine.batch([retiring({ manifest, why: 'replaced', nameKey, ...times })]);
    const { forks } = await backUpPointer(other, { ...last, replaced: undefined }, providers, 4);
    expect(forks).toEqual([]);
    expect(await standing(other)).toEqual({ x: last.pointer.manifest });
  });

  it('is found whatever a provider puts into its slots', async () => {
    const { context, providers } = await testVault({ providers: 4 });
    const put = await putObject(context, noise(10_000, 1), { name: 'x' });
    const foreign = { ...context.keys, pointer: noise(32, 5) };
    const nameKey = context.keys.nameKey('x');
    const slot = context.keys.slotName('x');
    const pointer: Pointer = {
      ...(await readName(context, 'x'))!,
      version: Number.MAX_SAFE_INTEGER,
    };
    const sealed = sealPointer(pointer, nameKey, foreign.pointer, context.random);
    const hostile = [
      slotContent(nameKey, sealed),
      new Uint8Array(0),
      noise(31, 1),
      slotContent(context.keys.nameKey('y'), (await context.engine.table('names').get(nameKey))!),
    ];
    for (const bytes of hostile) {
      const { adapter } = providers[0]!;
      await adapter.writeSlot(slot, bytes, (await adapter.readSlot(slot))?.version);
      const fresh = withoutState(context);
      expect(await recoverVault(fresh)).toMatchObject({ names: 1, forks: [], lost: [] });
      expect(await standing(fresh)).toEqual({ x: put.manifest });
    }
  });

  it('can be had by some name, however two homes and lost states come between each other', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        const { context, providers } = await testVault({ providers: 3 });
        const homes = [withoutState(context), withoutState(context)];
        const acknowledged = new Map<BlobAddress, string>();
        let next = 0;
        for (const { at, what, name } of steps) {
          const home = homes[at]!;
          if (what === 'lose') homes[at] = withoutState(context);
          else if (what === 'recover') await recoverVault(home);
          else {
            const manifest = what === 'rm' ? undefined : object(next++);
            const known = await readName(home, name);
            if (what === 'rm' && known?.manifest === undefined) continue;
            const change = await pointName(home, name, target(manifest));
            const { copies } = await backUpPointer(home, change, providers, 3);
            expect(copies).toBe(3);
            // What its own home replaces or removes is given up knowingly.
            if (known?.manifest !== undefined) acknowledged.delete(known.manifest);
            if (manifest !== undefined) acknowledged.set(manifest, name);
          }
        }
        const fresh = withoutState(context);
        await recoverVault(fresh);
        const reachable = Object.values(await standing(fresh));
        for (const manifest of acknowledged.keys()) expect(reachable).toContain(manifest);
      }),
      { numRuns: process.env.SLOW === '1' ? 500 : 30 },
    );
  });
});

const step = fc.record({
  at: fc.constantFrom(0, 1),
  what: fc.constantFrom('put', 'put', 'put', 'rm', 'lose', 'recover'),
  name: fc.constantFrom('x', 'y'),
});

const object = (i: number): BlobAddress => `b3:${(i + 1).toString(16).padStart(64, '0')}` as BlobAddress;

/** Puts so many versions of a name, the last of which reaches all providers. */
async function pointAt(
  context: VaultContext,
  providers: TestVault['providers'],
  name: string,
  times: number,
) {
  let change = await pointName(context, name, target(object(0)));
  for (let i = 1; i < times; i++) change = await pointName(context, name, target(object(i)));
  await backUpPointer(context, change, providers, providers.length);
  return change;
}
