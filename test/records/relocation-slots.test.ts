import { describe, expect, it } from 'vitest';
import { utf8Encode } from '../../src/core/bytes.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { encodeRelocation, type RelocationRecord } from '../../src/manifest/relocation.ts';
import { encodeRelocationSlot, relocationSlotName } from '../../src/manifest/relocation-slot.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { tellOfAllMoves } from '../../src/records/relocation-slots.ts';
import { readRelocationSlot, type ToldRelocation } from '../../src/records/slot-relocations.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { createRetention } from '../../src/upkeep/retention.ts';
import { allBlobs } from '../helpers/faulty.ts';
import { keysIn, packAt, rowsOf } from '../helpers/moving.ts';
import { isWhole, move, tidy, world } from '../helpers/one-pack.ts';

type World = Awaited<ReturnType<typeof world>>;

const DUE = 'relocation_slots_due';

async function slotOf({ now, context }: World): Promise<string> {
  return relocationSlotName(context.blake3, (await now()).segment);
}

const adapterOf = ({ vault }: World, id: string): BlobAdapter =>
  vault.providers.find((provider) => provider.id === id)!.adapter;

/** What the slot of the object's segment holds, by provider. */
async function told(its: World): Promise<Record<string, readonly ToldRelocation[]>> {
  const slot = await slotOf(its);
  const found: Record<string, readonly ToldRelocation[]> = {};
  for (const { id, adapter } of its.vault.providers) {
    const there = await adapter.readSlot(slot);
    if (there !== undefined)
      found[id] = readRelocationSlot(its.context, slot, there.bytes)?.relocations ?? [];
  }
  return found;
}

const goesTo = (relocations: readonly ToldRelocation[]): string[] =>
  relocations.flatMap(({ record }) => record.packs.map(({ provider }) => provider));

/** As a worker that has no key. */
const keyless = (its: World): World => ({
  ...its,
  context: { ...its.context, keys: { ...its.context.keys, signing: undefined } },
});

async function overwrite(its: World, id: string, content: Uint8Array): Promise<void> {
  const slot = await slotOf(its);
  const { adapter } = its.vault.providers.find((provider) => provider.id === id)!;
  await adapter.writeSlot(slot, content, (await adapter.readSlot(slot))?.version);
}

/** Relocations that nobody signed, of the object's one segment. */
async function forged(its: World, count: number): Promise<Uint8Array> {
  const at = await its.now();
  const { address, length, shards } = packAt(at, 'p2');
  const relocations = Array.from({ length: count }, (_, nth) => {
    const packs = [{ provider: 'p5', address, length, shards }];
    const record: RelocationRecord = { segment: at.segment, movedMs: 9_000_000_000_000 + nth, packs };
    return { record, bytes: encodeRelocation(record), signature: new Uint8Array(64) };
  });
  return encodeRelocationSlot({ segment: at.segment, relocations })!;
}

describe('a move', () => {
  it('is told, signed, in as many failure domains as outlive what the object does, and one more', async () => {
    const its = await world();
    await move(its, 'p1', 'p4');
    expect(await told(its)).toEqual({});
    await tellOfAllMoves(its.context);
    const slots = Object.values(await told(its));
    // It survives one loss.
    expect(slots.length).toBe(3);
    for (const one of slots) expect(one).toMatchObject([{ signed: true }]);
    for (const one of slots) expect(goesTo(one)).toEqual(['p4']);
    expect(await keysIn(its.context, DUE)).toEqual([]);
  });

  it('is told by a worker without a key as a hint, and signed by who has it', async () => {
    const its = await world();
    await move(its, 'p1', 'p4');
    await tellOfAllMoves(keyless(its).context);
    for (const one of Object.values(await told(its))) expect(one).toMatchObject([{ signed: false }]);
    expect((await rowsOf(its.context, DUE))[(await its.now()).segment]).toMatchObject({ told: true });
    await tellOfAllMoves(its.context);
    for (const one of Object.values(await told(its))) expect(one).toMatchObject([{ signed: true }]);
    expect(await keysIn(its.context, DUE)).toEqual([]);
    // Whoever has no key keeps what is signed.
    await move(its, 'p2', 'p5');
    await tellOfAllMoves(keyless(its).context);
    for (const one of Object.values(await told(its)))
      expect(one.map(({ signed }) => signed)).toEqual([false, true]);
  });

  it('that another home knows of stays told', async () => {
    const its = await world();
    await move(its, 'p1', 'p4');
    await tellOfAllMoves(its.context);
    const before = await told(its);
    // Another home: the same key, a state that does not know of it.
    const relocations = its.context.engine.table('relocations');
    for (const key of await keysIn(its.context, 'relocations')) await relocations.delete(key);
    await move(its, 'p2', 'p5');
    await tellOfAllMoves(its.context);
    const id = Object.keys(before)[0]!;
    expect(goesTo((await told(its))[id]!)).toEqual(['p5', 'p4']);
    expect((await told(its))[id]!.map(({ signed }) => signed)).toEqual([true, true]);
  });

  it('of which all was moved on is told no longer', async () => {
    const its = await world();
    await move(its, 'p1', 'p4');
    await tellOfAllMoves(its.context);
    await move(its, 'p4', 'p5');
    await tellOfAllMoves(its.context);
    for (const one of Object.values(await told(its))) expect(goesTo(one)).toEqual(['p5']);
  });
});

describe('what was moved away', () => {
  it('stays until providers enough have been told, however long that takes', async () => {
    const its = await world();
    const { address } = packAt(await its.now(), 'p1');
    await move(its, 'p1', 'p4');
    const refusing = new Set(['p1', 'p2', 'p3', 'p4', 'p5']);
    for (const { id, adapter } of its.vault.providers) {
      const { writeSlot } = adapter;
      Object.assign(adapter, {
        writeSlot: async (...args: Parameters<typeof writeSlot>) => {
          if (refusing.has(id)) throw new HoldfastError('PermissionDenied', 'no');
          return writeSlot(...args);
        },
      });
    }
    await tidy(its, 7 * 86_400_000);
    expect(await allBlobs(its.vault)).toContain(`p1/${address}`);
    // One is not enough: the object survives one loss.
    refusing.delete('p2');
    await tidy(its, 60_000);
    expect(await allBlobs(its.vault)).toContain(`p1/${address}`);
    refusing.delete('p5');
    await tidy(its, 60_000);
    expect(await allBlobs(its.vault)).not.toContain(`p1/${address}`);
    await isWhole(its);
  });

  it('is not kept for ever by a row that cannot be read', async () => {
    const its = await world();
    const { address } = packAt(await its.now(), 'p1');
    await move(its, 'p1', 'p4');
    await its.context.engine.table(DUE).put((await its.now()).segment, utf8Encode('{"v":2}'));
    await tidy(its, 60_000);
    await tidy(its, 60_000);
    expect(await allBlobs(its.vault)).not.toContain(`p1/${address}`);
    expect(Object.keys(await told(its)).length).toBe(3);
  });

  it('is not kept by a provider that never answers', async () => {
    const its = await world();
    const { address } = packAt(await its.now(), 'p1');
    const hangs = { readSlot: () => new Promise(() => {}), writeSlot: () => new Promise(() => {}) };
    for (const id of ['p2', 'p3']) Object.assign(adapterOf(its, id), hangs);
    await move(its, 'p1', 'p4');
    await tidy(its, 60_000);
    expect(await allBlobs(its.vault)).not.toContain(`p1/${address}`);
  });
});

describe('a slot that holds something else', () => {
  it.each([
    ['64 KiB of junk', async () => new Uint8Array(64 * 1024).fill(0x82)],
    ['more records than there may be', (its: World) => forged(its, 17)],
    ['as many forged records as there may be', (its: World) => forged(its, 16)],
  ])('(%s) takes what the vault writes all the same, and nothing goes by it', async (_, content) => {
    const its = await world();
    await move(its, 'p1', 'p4');
    for (const id of ['p1', 'p2', 'p3', 'p4', 'p5']) await overwrite(its, id, await content(its));
    await tellOfAllMoves(its.context);
    const first = Object.values(await told(its)).filter((one) => one[0]?.signed === true);
    expect(first.length).toBe(3);
    for (const one of first) {
      expect(goesTo(one.slice(0, 1))).toEqual(['p4']);
      expect(one.length).toBeLessThanOrEqual(16);
      expect(one.slice(1).some(({ signed }) => signed)).toBe(false);
    }
    await isWhole(its);
  });
});

describe('an object that is deleted', () => {
  it('takes its slots with it, at once or when a provider is back', async () => {
    const its = await world();
    await move(its, 'p1', 'p4');
    await tellOfAllMoves(its.context);
    const slot = await slotOf(its);
    const [first] = Object.keys(await told(its));
    its.vault.gone.add(first!);
    const directory: VaultContext['directory'] = {
      ...its.context.directory,
      all: () => its.vault.providers,
      get: (id) => its.vault.providers.find((provider) => provider.id === id),
      isResponsive: (id) => !its.vault.gone.has(id),
    };
    const known = { ...its.context, directory };
    const context = { ...known, retention: createRetention(known, 0) };
    await deleteObject(context, 'x');
    await tellOfAllMoves(context);
    const left = await Promise.all(its.vault.providers.map(({ adapter }) => adapter.readSlot(slot)));
    expect(left.filter((one) => one !== undefined).length).toBe(1);
    its.vault.gone.clear();
    await tellOfAllMoves(context);
    for (const { adapter } of its.vault.providers) expect(await adapter.readSlot(slot)).toBeUndefined();
    expect(await keysIn(context, DUE)).toEqual([]);
  });

  it('while its slots are being written leaves none', async () => {
    const its = await world();
    const slot = await slotOf(its);
    await move(its, 'p1', 'p4');
    for (const { adapter } of its.vault.providers) {
      const { writeSlot } = adapter;
      Object.assign(adapter, {
        writeSlot: async (...args: Parameters<typeof writeSlot>) => {
          if (args[0] === slot && (await keysIn(its.context, 'relocations')).length > 0) {
            await deleteObject(its.context, 'x');
            // Another process has deleted the slots before this is written.
            await tellOfAllMoves(its.context);
          }
          return writeSlot(...args);
        },
      });
    }
    await tellOfAllMoves(its.context);
    await tellOfAllMoves(its.context);
    for (const { adapter } of its.vault.providers) expect(await adapter.readSlot(slot)).toBeUndefined();
    expect(await keysIn(its.context, DUE)).toEqual([]);
  });
});
