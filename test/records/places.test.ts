import { blake3 as reference } from '@noble/hashes/blake3.js';
import { expect, it } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import { toHex, utf8Decode, utf8Encode } from '../../src/core/bytes.ts';
import { systemClock } from '../../src/core/clock.ts';
import { secureRandom } from '../../src/core/random.ts';
import { createMemoryEngine } from '../../src/engine/index.ts';
import { deriveSubkeys, vaultKeysOf } from '../../src/keys/derivation.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { markMove } from '../../src/records/move-marks.ts';
import { createPlaces, isSoleOwner, PLACE_SLOT, readPlace } from '../../src/records/places.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { noise, type TestVault, testVault } from '../helpers/vault.ts';

const withPlaces = (context: VaultContext): VaultContext => ({ ...context, places: createPlaces(context) });

/** Another vault, with a state of its own, at the same providers. */
function neighbour({ context }: TestVault): VaultContext {
  const keys = vaultKeysOf(deriveSubkeys(secureRandom(32)));
  return withPlaces({ ...context, engine: createMemoryEngine(), keys });
}

const put = (context: VaultContext, name = 'x') => putObject(context, noise(20_000), { name });

/** What the slot at the first provider says. */
const placeOf = ({ providers }: TestVault) => readPlace(providers[0]!.adapter);

/** Notes what the first provider is asked, in order. */
function noting(calls: string[]) {
  return (adapter: BlobAdapter, index: number): BlobAdapter => {
    if (index > 0) return adapter;
    const noted = (call: string) => calls.push(call);
    return {
      ...adapter,
      store: async (...args) => {
        noted('store');
        return adapter.store(...args);
      },
      readSlot: async (...args) => {
        noted(`readSlot ${args[0] === PLACE_SLOT}`);
        // Blobs are ready long before.
        if (args[0] === PLACE_SLOT) await systemClock.sleep(50);
        return adapter.readSlot(...args);
      },
      writeSlot: async (...args) => {
        const version = await adapter.writeSlot(...args);
        noted(`writeSlot ${args[0] === PLACE_SLOT}`);
        return version;
      },
    };
  };
}

it('the slot has a name that every vault finds, and a record that another implementation can read', async () => {
  expect(PLACE_SLOT).toBe(toHex(reference(utf8Encode('holdfast place owners'))));
  const vault = await testVault({ providers: 4 });
  await put(withPlaces(vault.context));
  const slot = await vault.providers[0]!.adapter.readSlot(PLACE_SLOT);
  expect(JSON.parse(utf8Decode(slot!.bytes))).toEqual({
    v: 1,
    place: expect.stringMatching(/^[0-9a-f]{32}$/),
    vaults: [vault.context.keys.id],
    was_empty: true,
  });
});

it('a vault enters itself before its first blob is sent, and asks nothing more of it later', async () => {
  const calls: string[] = [];
  const vault = await testVault({ providers: 4, wrap: noting(calls) });
  const context = withPlaces(vault.context);
  await put(context);
  expect(calls).toContain('store');
  expect(calls.indexOf('writeSlot true')).toBeGreaterThanOrEqual(0);
  expect(calls.indexOf('writeSlot true')).toBeLessThan(calls.indexOf('store'));
  calls.splice(0);
  await put(context);
  // A new process with the same state.
  await put(withPlaces(vault.context));
  expect(calls.filter((call) => call.endsWith('true'))).toEqual([]);
});

it('a place is its first vault’s alone until another comes, and never again', async () => {
  const vault = await testVault({ providers: 4 });
  const [first, second] = [withPlaces(vault.context), neighbour(vault)];
  await put(first);
  expect(isSoleOwner(await placeOf(vault), first.keys.id)).toBe(true);
  await put(second);
  const place = await placeOf(vault);
  expect(place?.vaults).toEqual([first.keys.id, second.keys.id]);
  expect(isSoleOwner(place, first.keys.id)).toBe(false);
  expect(isSoleOwner(place, second.keys.id)).toBe(false);
});

it('of two vaults that come at the same moment both are entered', async () => {
  const vault = await testVault({ providers: 4 });
  const [first, second] = [withPlaces(vault.context), neighbour(vault)];
  await Promise.all([put(first), put(second)]);
  expect([...(await placeOf(vault))!.vaults].sort()).toEqual([first.keys.id, second.keys.id].sort());
});

it('a place that held a blob or a slot when the first vault came is never its alone', async () => {
  for (const leave of [
    (adapter: BlobAdapter) => adapter.store(addressOf(reference(noise(10))), [noise(10)]),
    (adapter: BlobAdapter) => adapter.writeSlot('ab'.repeat(32), noise(10), undefined),
  ]) {
    const vault = await testVault({ providers: 4 });
    await leave(vault.providers[0]!.adapter);
    const context = withPlaces(vault.context);
    await put(context);
    expect((await placeOf(vault))?.vaults).toEqual([context.keys.id]);
    expect(isSoleOwner(await placeOf(vault), context.keys.id)).toBe(false);
    expect(isSoleOwner(await readPlace(vault.providers[1]!.adapter), context.keys.id)).toBe(true);
  }
});

it('a vault that was recovered before its first put has its places for itself', async () => {
  const vault = await testVault({ providers: 4 });
  const context = withPlaces(vault.context);
  await recoverVault(context);
  await put(context);
  for (const { adapter } of vault.providers)
    expect(isSoleOwner(await readPlace(adapter), context.keys.id)).toBe(true);
});

const slotsAt = async ({ adapter }: Pick<Provider, 'adapter'>): Promise<string[]> => {
  const all: string[] = [];
  for await (const slot of adapter.listSlots()) all.push(slot);
  return all;
};

/** A vault with slots at its fifth provider, and no blob there. Where copies go is by its keys: it is made until one is there. */
async function withSlotsAtFifth() {
  for (let tries = 0; tries < 50; tries++) {
    const vault = await testVault({ providers: 5 });
    const context = withPlaces(vault.context);
    const fifth = vault.providers[4]!;
    const { directory } = context;
    const without: VaultContext['directory'] = {
      ...directory,
      forStore: () => {
        const { eligible, leftOut } = directory.forStore();
        return { eligible: eligible.filter(({ id }) => id !== fifth.id), leftOut };
      },
    };
    await put({ ...context, directory: without }, 'x');
    if ((await slotsAt(fifth)).length > 0) return { context, fifth };
  }
  throw new Error('no slot ever comes to the fifth');
}

it('a vault whose slots, and marks of moves, were at a place before its first blob has it for itself', async () => {
  const { context, fifth } = await withSlotsAtFifth();
  await markMove(context, fifth);
  expect((await slotsAt(fifth)).length).toBeGreaterThan(1);
  expect(await readPlace(fifth.adapter)).toBeUndefined();
  await put(context, 'y');
  expect(isSoleOwner(await readPlace(fifth.adapter), context.keys.id)).toBe(true);
});

it('a mark of moves that another state made is another’s', async () => {
  const vault = await testVault({ providers: 4 });
  const context = withPlaces(vault.context);
  await markMove({ ...context, engine: createMemoryEngine() }, vault.providers[0]!);
  await put(context);
  expect(isSoleOwner(await placeOf(vault), context.keys.id)).toBe(false);
});

it('a slot that a later version wrote, or that is damaged, is left as it is and is nobody’s', async () => {
  for (const text of ['{"v":2}', 'nonsense', '{"v":1,"place":"x","vaults":[],"was_empty":true}']) {
    const vault = await testVault({ providers: 4 });
    const { adapter } = vault.providers[0]!;
    await adapter.writeSlot(PLACE_SLOT, utf8Encode(text), undefined);
    await put(withPlaces(vault.context));
    expect(utf8Decode((await adapter.readSlot(PLACE_SLOT))!.bytes)).toBe(text);
    expect(await placeOf(vault)).toBeUndefined();
  }
});

it('a provider whose slots stand still does not hold up a put, and is asked again by the next', async () => {
  let hangs = true;
  const wrap = (adapter: BlobAdapter, index: number): BlobAdapter => ({
    ...adapter,
    readSlot: async (slot, options) => {
      if (index === 0 && hangs && slot === PLACE_SLOT) await new Promise(() => {});
      return adapter.readSlot(slot, options);
    },
  });
  const vault = await testVault({ providers: 4, wrap });
  const context = withPlaces(vault.context);
  await put(context);
  hangs = false;
  expect(await placeOf(vault)).toBeUndefined();
  await put(context, 'y');
  const place = await placeOf(vault);
  expect(place?.vaults).toEqual([context.keys.id]);
  // It holds what the first put stored: nobody can tell any more that nothing was there before.
  expect(place?.wasEmpty).toBe(false);
});

it('an entry is looked for again after half a day: the provider may lead to another place by then', async () => {
  const vault = await testVault({ providers: 4 });
  let now = Date.now();
  const clock = { ...vault.context.clock, now: () => now };
  const context = withPlaces({ ...vault.context, clock });
  await put(context);
  const { adapter } = vault.providers[0]!;
  await adapter.deleteSlot(PLACE_SLOT);
  await put(context);
  expect(await placeOf(vault)).toBeUndefined();
  now += 12 * 3_600_000;
  await put(context);
  expect((await placeOf(vault))?.vaults).toEqual([context.keys.id]);
});
