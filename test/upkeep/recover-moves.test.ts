import { describe, expect, it } from 'vitest';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { createMemoryEngine } from '../../src/engine/index.ts';
import {
  encodeRelocation,
  type RelocatedPack,
  type RelocationRecord,
} from '../../src/manifest/relocation.ts';
import { encodeRelocationSlot, relocationSlotName, signedBytes } from '../../src/manifest/relocation-slot.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { markMove } from '../../src/records/move-marks.ts';
import { tellOfAllMoves } from '../../src/records/relocation-slots.ts';
import { relocationsOf } from '../../src/records/told-relocations.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { type GcResult, scrubProviders } from '../../src/upkeep/gc.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { createRetention } from '../../src/upkeep/retention.ts';
import { statObject } from '../../src/upkeep/stat.ts';
import { allBlobs } from '../helpers/faulty.ts';
import { keysIn, packAt, rowsOf, segmentsNow } from '../helpers/moving.ts';
import { isWhole, move, tidy, world } from '../helpers/one-pack.ts';
import { noise, readAll } from '../helpers/vault.ts';

type World = Awaited<ReturnType<typeof world>>;

/** The home is lost: the same key and providers, and no state. */
function lostHome(its: World): World {
  const engine = createMemoryEngine();
  const base = { ...its.context, engine, relocations: relocationsOf({ ...its.context, engine }) };
  const context = { ...base, retention: createRetention(base, 0) };
  return { ...its, context, now: async () => (await segmentsNow(context, its.manifest))[0]! };
}

const keyless = (its: World): World => ({
  ...its,
  context: { ...its.context, keys: { ...its.context.keys, signing: undefined } },
});

const adapterOf = ({ vault }: World, id: string): BlobAdapter =>
  vault.providers.find((provider) => provider.id === id)!.adapter;

const recovered = async (its: World): Promise<World> => {
  const home = lostHome(its);
  expect(await recoverVault(home.context)).toMatchObject({ names: 1, lost: [] });
  return home;
};

const placesOf = async (its: World): Promise<string[]> => {
  const { view } = await its.now();
  const { packs } = view.moved ?? view.record;
  return [...new Set(packs.map(({ provider }) => provider))].sort();
};

const tolerates = async (its: World): Promise<number> =>
  (await statObject(its.context, 'x')).live.certificate.tolerates;

const gc = (its: World): Promise<GcResult> => scrubProviders(its.context, { minAgeMs: 0 });
const kept = ({ providers }: GcResult): unknown[] => [...new Set(providers.map(({ kept }) => kept))];

/** Writes a slot at providers, over what is there. */
async function tell(
  its: World,
  ids: readonly string[],
  packs: readonly RelocatedPack[],
  { movedMs = its.time.ms, signed = false } = {},
): Promise<void> {
  const { segment } = await its.now();
  const { blake3, keys } = its.context;
  const slot = relocationSlotName(blake3, segment);
  const record: RelocationRecord = { segment, movedMs, packs };
  const bytes = encodeRelocation(record);
  const signature = signed ? keys.signing!.sign(signedBytes(slot, bytes)) : new Uint8Array(64);
  const content = encodeRelocationSlot({ segment, relocations: [{ record, bytes, signature }] })!;
  for (const id of ids) {
    const adapter = adapterOf(its, id);
    await adapter.writeSlot(slot, content, (await adapter.readSlot(slot))?.version);
  }
}

const ALL = ['p1', 'p2', 'p3', 'p4', 'p5'];

describe('a home that is lost after shards were moved', () => {
  it('is recovered with them where they are, and deletes them with their object', async () => {
    const its = await world();
    await move(its, 'p1', 'p4');
    await tidy(its, 60_000);
    await move(its, 'p2', 'p5');
    await tidy(its, 60_000);
    const usage = (await rowsOf(its.context, 'manifest_usage'))[its.manifest];
    const home = await recovered(its);
    expect(await placesOf(home)).toEqual(['p3', 'p4', 'p5']);
    expect(await tolerates(home)).toBe(1);
    await isWhole(home);
    expect((await rowsOf(home.context, 'manifest_usage'))[its.manifest]).toEqual(usage);
    for (const row of Object.values(await rowsOf(home.context, 'moves')))
      expect(row).toMatchObject({ state: 'recorded' });
    const before = await allBlobs(its.vault);
    await gc(home);
    expect(await allBlobs(its.vault)).toEqual(before);
    await deleteObject(home.context, 'x');
    await tellOfAllMoves(home.context);
    expect(await allBlobs(its.vault)).toEqual([]);
  });

  it('goes by the latest move, whichever older slots are brought back', async () => {
    const its = await world();
    await move(its, 'p1', 'p4');
    const first = packAt(await its.now(), 'p4');
    await tidy(its, 0);
    await move(its, 'p4', 'p5');
    await tidy(its, 0);
    await tell(its, ['p1', 'p2'], [first], { movedMs: its.time.ms, signed: true });
    const home = await recovered(its);
    expect(await placesOf(home)).toEqual(['p2', 'p3', 'p5']);
    await isWhole(home);
  });

  it('does not believe a signed move whose pack is gone', async () => {
    const its = await world();
    await move(its, 'p1', 'p4');
    await tellOfAllMoves(its.context);
    await adapterOf(its, 'p4').delete(packAt(await its.now(), 'p4').address);
    const home = await recovered(its);
    expect(await placesOf(home)).toEqual(['p1', 'p2', 'p3']);
    await isWhole(home);
  });

  it('finds what a worker without the key had moved, where the shards are nowhere else', async () => {
    const its = await world();
    const { address } = packAt(await its.now(), 'p1');
    await move(its, 'p1', 'p4');
    await tellOfAllMoves(keyless(its).context);
    await adapterOf(its, 'p1').delete(address);
    const home = await recovered(its);
    expect(await placesOf(home)).toEqual(['p2', 'p3', 'p4']);
    expect(await tolerates(home)).toBe(1);
    await isWhole(home);
  });

  it('keeps what a worker without the key had moved where it needs it not, for it may', async () => {
    const its = await world();
    const { address } = packAt(await its.now(), 'p1');
    await move(its, 'p1', 'p4');
    await tellOfAllMoves(keyless(its).context);
    const home = await recovered(its);
    expect(await placesOf(home)).toEqual(['p1', 'p2', 'p3']);
    expect(kept(await gc(home))).toContain('moved');
    expect(await allBlobs(its.vault)).toContain(`p4/${address}`);
    await isWhole(home);
  });
});

it('an object without a name outlives the loss of the state after its shards were moved', async () => {
  const its = await world();
  its.vault.gone.add('p4').add('p5');
  const content = noise(300_000, 7);
  const { manifest } = await putObject(its.context, content);
  its.vault.gone.clear();
  const its2 = { ...its, manifest, now: async () => (await segmentsNow(its.context, manifest))[0]! };
  await move(its2, 'p1', 'p4');
  await move(its2, 'p2', 'p5');
  await tidy(its2, 60_000);
  const home = await recovered(its);
  const before = await allBlobs(its.vault);
  expect(await gc(home)).toMatchObject({ remembered: 1 });
  expect(await allBlobs(its.vault)).toEqual(before);
  expect(Buffer.compare(await readAll(await getObject(home.context, manifest)), content)).toBe(0);
});

it('what is recovered once more is as it was', async () => {
  const its = await world();
  await move(its, 'p1', 'p4');
  await tidy(its, 60_000);
  const home = await recovered(its);
  const rows = await keysIn(home.context, 'relocations');
  await recoverVault(home.context);
  expect(await keysIn(home.context, 'relocations')).toEqual(rows);
  await isWhole(home);
});

describe('a forged slot', () => {
  const blob = async (its: World, id: string, bytes: Uint8Array): Promise<BlobAddress> => {
    const address = addressOf(its.context.blake3.hash(bytes));
    await adapterOf(its, id).store(address, [bytes]);
    return address;
  };

  it.each([
    ['bytes that are none of its shards', async (_: World, { length }: RelocatedPack) => noise(length, 9)],
    [
      'shards of another place',
      async (its: World) => adapterOf(its, 'p2').fetch(packAt(await its.now(), 'p2').address),
    ],
  ])('of %s raises no certificate', async (_, content) => {
    const its = await world();
    const pack = packAt(await its.now(), 'p1');
    const bytes = await content(its, pack);
    await tell(its, ALL, [{ ...pack, provider: 'p5', address: await blob(its, 'p5', bytes) }]);
    await adapterOf(its, 'p1').delete(pack.address);
    const home = await recovered(its);
    expect(await keysIn(home.context, 'relocations')).toEqual([]);
    expect(await placesOf(home)).toEqual(['p1', 'p2', 'p3']);
  });

  it('of shards that are where they ought to be moves nothing, although they are there too', async () => {
    const its = await world();
    const pack = packAt(await its.now(), 'p1');
    await adapterOf(its, 'p5').store(pack.address, [await adapterOf(its, 'p1').fetch(pack.address)]);
    await tell(its, ALL, [{ ...pack, provider: 'p5' }], { movedMs: Number.MAX_SAFE_INTEGER });
    const home = await recovered(its);
    expect(await keysIn(home.context, 'relocations')).toEqual([]);
    await isWhole(home);
    await move(home, 'p1', 'p4');
    await isWhole(home);
  });

  it('that names a pack of another object does not get it deleted', async () => {
    const its = await world();
    const victim = noise(5_000, 3);
    const address = await blob(its, 'p5', victim);
    const pack = packAt(await its.now(), 'p1');
    await tell(its, ALL, [{ ...pack, provider: 'p5', address }]);
    await adapterOf(its, 'p1').delete(pack.address);
    const home = await recovered(its);
    await deleteObject(home.context, 'x');
    expect(await allBlobs(its.vault)).toEqual([`p5/${address}`]);
  });

  it('of junk, and a provider whose slots never come, hold nobody up', async () => {
    const its = await world();
    await move(its, 'p1', 'p4');
    await tidy(its, 60_000);
    const { segment } = await its.now();
    const slot = relocationSlotName(its.context.blake3, segment);
    const adapter = adapterOf(its, 'p3');
    await adapter.writeSlot(slot, new Uint8Array(64 * 1024), (await adapter.readSlot(slot))?.version);
    const hung = adapterOf(its, 'p2');
    const { readSlot } = hung;
    Object.assign(hung, {
      readSlot: (...args: Parameters<typeof readSlot>) =>
        args[0] === slot ? new Promise(() => {}) : readSlot(...args),
    });
    const home = lostHome(its);
    await recoverVault(home.context);
    expect(await placesOf(home)).toEqual(['p2', 'p3', 'p4']);
  }, 30_000);
});

describe('marks of moves', () => {
  const marked = async (): Promise<World> => {
    const its = await world();
    const provider = its.vault.providers.find(({ id }) => id === 'p4')!;
    await markMove(its.context, provider);
    await move(its, 'p1', 'p4');
    await tidy(its, 60_000);
    return its;
  };
  const orphan = async (its: World): Promise<string> => {
    const bytes = noise(3_000, 5);
    const address = addressOf(its.context.blake3.hash(bytes));
    await adapterOf(its, 'p4').store(address, [bytes]);
    return `p4/${address}`;
  };

  it('are known to a recovered state that was told of all moves: gc deletes what is nobody’s, and no more', async () => {
    const its = await marked();
    const before = await allBlobs(its.vault);
    const left = await orphan(its);
    const home = await recovered(its);
    expect(kept(await gc(home))).not.toContain('moved');
    expect(await allBlobs(its.vault)).not.toContain(left);
    expect(await allBlobs(its.vault)).toEqual(before);
    await isWhole(home);
  });

  it('stay unknown where so many were not heard that a move may have been told to them alone', async () => {
    const its = await marked();
    const left = await orphan(its);
    for (const id of ['p2', 'p3']) {
      const refuse = () => Promise.reject(new TypeError('it is away'));
      Object.assign(adapterOf(its, id), { readSlot: refuse });
    }
    const home = lostHome(its);
    await recoverVault(home.context);
    const { engine } = home.context;
    expect(await engine.table('move_marks').get('p4')).toBeUndefined();
    await gc(home);
    expect(await allBlobs(its.vault)).toContain(left);
  });

  it('are known although one provider lists slots that it does not give, and forges others', async () => {
    const its = await marked();
    const slot = relocationSlotName(its.context.blake3, (await its.now()).segment);
    const pack = { ...packAt(await its.now(), 'p2'), provider: 'elsewhere' };
    await tell(its, ['p3'], [pack]);
    const { readSlot } = adapterOf(its, 'p3');
    let asked = 0;
    Object.assign(adapterOf(its, 'p3'), {
      readSlot: (...args: Parameters<typeof readSlot>) =>
        args[0] === slot && asked++ > 0 ? Promise.reject(new TypeError('not now')) : readSlot(...args),
    });
    const home = lostHome(its);
    await recoverVault(home.context);
    expect(asked).toBeGreaterThan(0);
    expect(await home.context.engine.table('move_marks').get('p4')).toBeDefined();
    expect(await placesOf(home)).toEqual(['p2', 'p3', 'p4']);
  });

  it('of a move of another home made since are unknown again', async () => {
    const its = await marked();
    const home = await recovered(its);
    await markMove(its.context, its.vault.providers.find(({ id }) => id === 'p4')!);
    const left = await orphan(its);
    expect(kept(await gc(home))).toContain('moved');
    expect(await allBlobs(its.vault)).toContain(left);
  });
});

it('slots of an object that is gone are deleted by gc, and no others', async () => {
  const its = await world();
  await move(its, 'p1', 'p4');
  await tellOfAllMoves(its.context);
  const { segment } = await its.now();
  const slot = relocationSlotName(its.context.blake3, segment);
  const had = async (): Promise<number> => {
    const there = await Promise.all(its.vault.providers.map(({ adapter }) => adapter.readSlot(slot)));
    return there.filter((one) => one !== undefined).length;
  };
  const home = await recovered(its);
  await gc(home);
  expect(await had()).toBeGreaterThan(1);
  await deleteObject(home.context, 'x');
  // Who should have deleted them was killed.
  await home.context.engine.table('relocation_slots_due').delete(segment);
  expect(await had()).toBeGreaterThan(1);
  await gc(home);
  expect(await had()).toBe(0);
});
