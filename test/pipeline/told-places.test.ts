import { describe, expect, it } from 'vitest';
import { createMemoryEngine } from '../../src/engine/index.ts';
import { encodeRelocation, type RelocatedPack } from '../../src/manifest/relocation.ts';
import { encodeRelocationSlot, relocationSlotName } from '../../src/manifest/relocation-slot.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { relocationsOf } from '../../src/records/told-relocations.ts';
import { statObject } from '../../src/upkeep/stat.ts';
import { packAt } from '../helpers/moving.ts';
import { move, tidy, world } from '../helpers/one-pack.ts';
import { readAll } from '../helpers/vault.ts';

type World = Awaited<ReturnType<typeof world>>;

/** An object at p1, p2 and p3, of which another home moved p1 to p4, and p2 to p5; this one knows of nothing. */
async function movedElsewhere() {
  const its = await world();
  const content = await readAll(await getObject(its.context, 'x'));
  const engine = createMemoryEngine();
  for (const table of ['names', 'vault', 'manifests', 'manifest_times', 'manifest_order'])
    for await (const [key, value] of its.context.engine.table(table).entries())
      await engine.table(table).put(key, value);
  const context = { ...its.context, engine, relocations: relocationsOf({ ...its.context, engine }) };
  await move(its, 'p1', 'p4');
  await move(its, 'p2', 'p5');
  await tidy(its, 60_000);
  return { its, content, other: { ...its, context } };
}

/** Slots that are read. */
function watched(its: World): string[] {
  const reads: string[] = [];
  for (const { id, adapter } of its.vault.providers) {
    const { readSlot } = adapter;
    Object.assign(adapter, {
      readSlot: (...args: Parameters<typeof readSlot>) => {
        reads.push(`${id} ${args[0]}`);
        return readSlot(...args);
      },
    });
  }
  return reads;
}

/** Sixteen relocations that nobody signed, later than any that there are. */
async function forge(its: World, ids: readonly string[], packs: readonly RelocatedPack[]): Promise<void> {
  const { segment } = await its.now();
  const slot = relocationSlotName(its.context.blake3, segment);
  const relocations = Array.from({ length: 16 }, (_, nth) => {
    const record = { segment, movedMs: Number.MAX_SAFE_INTEGER - nth, packs };
    return { record, bytes: encodeRelocation(record), signature: undefined };
  });
  const content = encodeRelocationSlot({ segment, relocations })!;
  for (const { id, adapter } of its.vault.providers) {
    if (ids.includes(id)) await adapter.writeSlot(slot, content, (await adapter.readSlot(slot))?.version);
  }
}

const read = async ({ context }: World): Promise<Uint8Array> => readAll(await getObject(context, 'x'));

describe('an object whose shards are in too few of the places that a home knows', () => {
  it('is read where another home moved them to, as the providers say, which counts for no certificate', async () => {
    const { its, other, content } = await movedElsewhere();
    expect(Buffer.compare(await read(other), content)).toBe(0);
    its.vault.gone.add('p3');
    expect(Buffer.compare(await read(other), content)).toBe(0);
    expect((await statObject(other.context, 'x')).live.without).toEqual(['p3']);
  });

  it('costs one look at each provider, and none where it can be read without', async () => {
    const { its, other } = await movedElsewhere();
    const slot = relocationSlotName(its.context.blake3, (await its.now()).segment);
    const reads = watched(its);
    await read(its);
    expect(reads.filter((one) => one.endsWith(slot))).toEqual([]);
    await read(other);
    expect(reads.filter((one) => one.endsWith(slot)).sort()).toEqual(
      ['p1', 'p2', 'p3', 'p4', 'p5'].map((id) => `${id} ${slot}`),
    );
  });

  it('is read although a provider forges what the others tell', async () => {
    const { its, other, content } = await movedElsewhere();
    const at = await its.now();
    const packs = ['p4', 'p5'].map((id) => ({ ...packAt(at, id), provider: 'p3' }));
    await forge(its, ['p3'], packs);
    expect(Buffer.compare(await read(other), content)).toBe(0);
  });

  it('fails as before where all lie, and one never answers', async () => {
    const { its, other } = await movedElsewhere();
    const at = await its.now();
    await forge(
      its,
      ['p1', 'p2', 'p3', 'p4'],
      ['p4', 'p5'].map((id) => ({ ...packAt(at, id), provider: 'p3' })),
    );
    const silent = its.vault.providers.find(({ id }) => id === 'p5')!;
    Object.assign(silent.adapter, { readSlot: () => new Promise(() => {}) });
    await expect(read(other)).rejects.toMatchObject({ code: 'undecodable' });
  }, 20_000);
});
