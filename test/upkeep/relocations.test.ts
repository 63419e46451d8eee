import { describe, expect, it } from 'vitest';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { concatBytes } from '../../src/core/bytes.ts';
import { systemClock } from '../../src/core/clock.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { encodeRelocation, type RelocationRecord } from '../../src/manifest/relocation.ts';
import type { PackRecord, SegmentRecord } from '../../src/manifest/segment.ts';
import { DamageLog } from '../../src/object/damage.ts';
import { fetchNode } from '../../src/object/fetch-node.ts';
import { publicTree, walkManifest } from '../../src/object/manifest-tree.ts';
import { createArena } from '../../src/pipeline/arena.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { createInlineStage } from '../../src/pipeline/cpu/inline.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { openManifest } from '../../src/records/manifests.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { createRetention } from '../../src/upkeep/retention.ts';
import { statObject } from '../../src/upkeep/stat.ts';
import { verifyObject } from '../../src/upkeep/verify.ts';
import { allBlobs } from '../helpers/faulty.ts';
import { ACCELERATION, noise, readAll, type TestVault, testVault } from '../helpers/vault.ts';

const XOR = createLinearCode({ algorithm: 'reed-solomon', dataShards: 2, parityShards: 1 });
const MOVED_MS = 1_700_000_000_000;

interface StoredSegment {
  /** What relocations are kept under. */
  readonly key: BlobAddress;
  readonly record: SegmentRecord;
}

/** A vault of four providers, three of which get the shards; every range read is written down. */
async function fourPlaces(packTargetBytes = 1024 * 1024, size = 700_000) {
  const reads: string[] = [];
  const liars = new Set<string>();
  const counting = (adapter: BlobAdapter, i: number): BlobAdapter => ({
    ...adapter,
    async fetchRange(address, offset, into, options) {
      const id = `p${i + 1}`;
      reads.push(`${id} ${address}`);
      if (liars.has(id)) for (const part of into) part.fill(7);
      else await adapter.fetchRange(address, offset, into, options);
    },
  });
  const vault = await testVault({
    providers: 4,
    policy: { code: XOR, packTargetBytes, replicaBelowBytes: 0 },
    wrap: counting,
  });
  vault.gone.add('p4');
  const content = noise(size);
  const { manifest } = await putObject(vault.context, content, { name: 'x' });
  vault.gone.delete('p4');
  const segments = await segmentsOf(vault.context, manifest);
  const get = async () => {
    reads.length = 0;
    const object = await getObject(vault.context, 'x');
    expect(Buffer.compare(await readAll(object), content)).toBe(0);
    return { damage: object.damage, reads: [...reads] };
  };
  return { ...vault, manifest, segments, liars, reads, get };
}

async function segmentsOf(context: VaultContext, manifest: BlobAddress): Promise<StoredSegment[]> {
  const damage = new DamageLog();
  const { record } = await openManifest(context, manifest, damage);
  const tree = publicTree(record, (address) => fetchNode(context, address, damage));
  const found: StoredSegment[] = [];
  for await (const { address, segment } of walkManifest(tree))
    if (segment !== undefined) found.push({ key: address ?? manifest, record: segment });
  return found;
}

const adapterOf = ({ providers }: TestVault, id: string): BlobAdapter =>
  providers.find((provider) => provider.id === id)!.adapter;

/** Shards of a pack: `chunk × totalShards + shard`, ascending. */
const shardsOf = ({ record }: StoredSegment, pack: PackRecord): number[] =>
  [...record.places.keys()].filter((at) => record.packs[record.places[at]!] === pack);

const packAt = ({ record }: StoredSegment, provider: string): PackRecord =>
  record.packs.find((pack) => pack.provider === provider)!;

/** Carries a pack over to another provider. @returns the relocation that says so. */
async function carry(
  vault: TestVault,
  segment: StoredSegment,
  from: string,
  to: string,
): Promise<RelocationRecord> {
  const pack = packAt(segment, from);
  await adapterOf(vault, to).store(pack.address, [await bytesAt(vault, from, pack.address)]);
  await adapterOf(vault, from).delete(pack.address);
  const moved = { ...pack, provider: to, shards: shardsOf(segment, pack) };
  return { segment: segment.key, movedMs: MOVED_MS, packs: [moved] };
}

const bytesAt = (vault: TestVault, id: string, address: BlobAddress): Promise<Uint8Array> =>
  adapterOf(vault, id).fetch(address);

async function record({ context }: TestVault, relocation: RelocationRecord): Promise<void> {
  await write(context, relocation.segment, relocation.movedMs, encodeRelocation(relocation));
}

async function write(context: VaultContext, segment: string, ms: number, row: Uint8Array): Promise<void> {
  const key = `${segment}/${String(ms).padStart(14, '0')}/${addressOf(context.blake3.hash(row))}`;
  await context.engine.table('relocations').put(key, row);
}

describe.each([
  ['in its root', 1024 * 1024],
  ['in nodes of their own', 64 * 1024],
])('an object with segments %s whose shards at p1 were moved to p4', (_, packTargetBytes) => {
  const movedVault = async () => {
    const vault = await fourPlaces(packTargetBytes);
    for (const segment of vault.segments) await record(vault, await carry(vault, segment, 'p1', 'p4'));
    return vault;
  };

  it('is read from there, with not a read more than before', async () => {
    const before = await (await fourPlaces(packTargetBytes)).get();
    const { get, segments } = await movedVault();
    expect(segments.length > 1).toBe(packTargetBytes < 1024 * 1024);
    const { damage, reads } = await get();
    expect(damage).toEqual([]);
    expect(reads.filter((read) => read.startsWith('p4')).length).toBeGreaterThan(0);
    expect(reads.filter((read) => read.startsWith('p1'))).toEqual([]);
    expect(reads.length).toBe(before.reads.length);
  });

  it('is intact, and survives what its places now survive', async () => {
    const { context, gone } = await movedVault();
    const whole = { intact: true, damageTotal: 0, certificate: { live: { tolerates: 1, providers: 3 } } };
    expect(await verifyObject(context, 'x')).toMatchObject(whole);
    gone.add('p1');
    expect(await verifyObject(context, 'x')).toMatchObject(whole);
    expect((await statObject(context, 'x')).live).toMatchObject({
      certificate: { tolerates: 1 },
      without: [],
    });
    gone.add('p4');
    expect((await statObject(context, 'x')).live).toMatchObject({
      certificate: { tolerates: 0 },
      without: ['p4'],
    });
    expect(await verifyObject(context, 'x')).toMatchObject({ intact: false, readable: true });
  });

  it('says without whom it survives less, though he answers again by then', async () => {
    const { context } = await movedVault();
    for (let answers = 1; answers < 9; answers++) {
      let asked = 0;
      const isResponsive = (id: string): boolean => id !== 'p2' || ++asked >= answers;
      const directory = { ...context.directory, isResponsive };
      const { live } = await statObject({ ...context, directory }, 'x');
      expect(live.without.includes('p2')).toBe(live.certificate.tolerates < 1);
    }
  });

  it('has lost each shard once, where it was moved to, when it is not there either', async () => {
    const vault = await movedVault();
    for (const segment of vault.segments) await adapterOf(vault, 'p4').delete(packAt(segment, 'p1').address);
    const lost = vault.segments.flatMap((segment) => shardsOf(segment, packAt(segment, 'p1')));
    const { damage, damageTotal, readable } = await verifyObject(vault.context, 'x');
    expect({ damageTotal, readable }).toEqual({ damageTotal: lost.length, readable: true });
    expect(new Set(damage.map(({ provider, problem }) => `${provider} ${problem}`))).toEqual(
      new Set(['p4 missing']),
    );
  });

  it('goes with all its blobs, and what said where they are goes too', async () => {
    const vault = await movedVault();
    await deleteObject(vault.context, 'x');
    expect(await allBlobs(vault)).toEqual([]);
    for await (const [key] of vault.context.engine.table('relocations').entries()) expect.unreachable(key);
  });
});

it('shards of one pack that went to two others, in packs of their own, are found there', async () => {
  const vault = await fourPlaces();
  const [segment] = vault.segments;
  const pack = packAt(segment!, 'p1');
  const bytes = await bytesAt(vault, 'p1', pack.address);
  const all = shardsOf(segment!, pack);
  const isData = (at: number): boolean => at % 3 < 2;
  const inOrder = [...all.filter(isData), ...all.filter((at) => !isData(at))];
  const lengthOf = (at: number): number => segment!.record.chunkLens[Math.floor(at / 3)]! / 2;
  const shard = new Map<number, Uint8Array>();
  let offset = 0;
  for (const at of inOrder) {
    shard.set(at, bytes.subarray(offset, offset + lengthOf(at)));
    offset += lengthOf(at);
  }
  const packs = await Promise.all(
    ['p4', 'p2'].map(async (provider, half) => {
      const shards = all.filter((_, i) => i % 2 === half);
      const moved = concatBytes(...inOrder.filter((at) => shards.includes(at)).map((at) => shard.get(at)!));
      const address = addressOf(vault.context.blake3.hash(moved));
      await adapterOf(vault, provider).store(address, [moved]);
      return { provider, address, length: moved.length, shards };
    }),
  );
  await adapterOf(vault, 'p1').delete(pack.address);
  await record(vault, { segment: vault.manifest, movedMs: MOVED_MS, packs });
  expect((await vault.get()).damage).toEqual([]);
  expect(await verifyObject(vault.context, 'x')).toMatchObject({ intact: true });
  // Two of them share a provider now.
  expect((await statObject(vault.context, 'x')).live.certificate).toMatchObject({ tolerates: 0 });
});

describe('a relocation that is wrong', () => {
  const wrongly = async (lie: 'nothing' | 'other bytes', size?: number) => {
    const vault = await fourPlaces(8 * 1024 * 1024, size);
    const [segment] = vault.segments;
    const pack = packAt(segment!, 'p1');
    if (lie === 'other bytes') vault.liars.add('p4');
    const moved = { ...pack, provider: 'p4', shards: shardsOf(segment!, pack) };
    return { vault, relocation: { segment: segment!.key, movedMs: MOVED_MS, packs: [moved] } };
  };

  // Other bytes are found out chunk by chunk, and three chunks are each fetched anew.
  it.each([
    ['nothing', 1],
    ['other bytes', 3],
  ] as const)('because it leads to %s costs one read, and the bytes are right', async (lie, more) => {
    const honest = (await (await fourPlaces()).get()).reads.length;
    const { vault, relocation } = await wrongly(lie);
    await record(vault, relocation);
    const { reads, damage } = await vault.get();
    expect(reads.filter((read) => read.startsWith('p4')).length).toBe(1);
    expect(reads.length).toBeLessThanOrEqual(honest + more);
    expect(new Set(damage.map(({ provider }) => provider))).toEqual(new Set(['p4']));
    // The vault itself says that they are there: so it is damage, though they are at p1 as well.
    expect(await verifyObject(vault.context, 'x')).toMatchObject({
      intact: false,
      readable: true,
      certificate: { live: { tolerates: 1 } },
    });
  });

  it('is believed no more by the rest of the read', async () => {
    const { vault, relocation } = await wrongly('nothing', 4_000_000);
    await record(vault, relocation);
    // Little memory, so that it is read in eight windows, three of them at a time.
    const arena = createArena(4 * 1024 * 1024);
    const cpu = createInlineStage(arena.memory, ACCELERATION, systemClock);
    const object = await getObject({ ...vault.context, arena, cpu }, 'x');
    expect((await readAll(object)).length).toBe(4_000_000);
    const wasted = vault.reads.filter((read) => read.startsWith('p4')).length;
    expect(wasted).toBeGreaterThan(0);
    expect(wasted).toBeLessThanOrEqual(3);
  });

  it('does not hide an older one that is right', async () => {
    const { vault, relocation } = await wrongly('nothing');
    await record(vault, await carry(vault, vault.segments[0]!, 'p1', 'p4'));
    const [pack] = relocation.packs;
    await record(vault, { ...relocation, movedMs: MOVED_MS + 1, packs: [{ ...pack!, provider: 'p2' }] });
    vault.gone.add('p3');
    expect(new Set((await vault.get()).damage.map(({ provider }) => provider))).not.toContain('p4');
  });

  it('or malformed, or of another segment, or for shards that there are not, costs nothing at all', async () => {
    const honest = (await (await fourPlaces()).get()).reads.length;
    const { vault, relocation } = await wrongly('nothing');
    const right = encodeRelocation(relocation);
    await write(vault.context, vault.manifest, MOVED_MS, right.subarray(0, right.length - 1));
    await write(vault.context, vault.manifest, MOVED_MS, new Uint8Array());
    const other = addressOf(new Uint8Array(32));
    await write(vault.context, vault.manifest, MOVED_MS, encodeRelocation({ ...relocation, segment: other }));
    const [pack] = relocation.packs;
    await record(vault, { ...relocation, packs: [{ ...pack!, length: pack!.length + 512 }] });
    await record(vault, { ...relocation, packs: [{ ...pack!, shards: [...pack!.shards, 3000] }] });
    expect(await vault.get()).toMatchObject({ damage: [], reads: { length: honest } });
    expect(await verifyObject(vault.context, 'x')).toMatchObject({ intact: true });
    expect((await statObject(vault.context, 'x')).live.certificate).toMatchObject({ tolerates: 1 });
  });
});

describe('a hint, which the vault itself does not vouch for', () => {
  const hinted = async () => {
    const vault = await fourPlaces();
    const [segment] = vault.segments;
    const relocation = await carry(vault, segment!, 'p1', 'p4');
    const hints = async () => [{ ...relocation, recorded: false }];
    const relocations = { open: async () => hints, told: async () => [] };
    const context = { ...vault.context, relocations };
    return { vault, context: { ...context, retention: createRetention(context, 0) } };
  };

  it('is followed where the shards are in none of their own places', async () => {
    const { vault, context } = await hinted();
    vault.gone.add('p3');
    const object = await getObject(context, 'x');
    expect(Buffer.compare(await readAll(object), noise(700_000))).toBe(0);
    expect(new Set(object.damage.map(({ provider }) => provider))).toEqual(new Set(['p1', 'p3']));
  });

  it('counts for no certificate and no deletion', async () => {
    const { vault, context } = await hinted();
    vault.gone.add('p1');
    expect((await statObject(context, 'x')).live).toMatchObject({
      certificate: { tolerates: 0 },
      without: ['p1'],
    });
    vault.gone.delete('p1');
    await deleteObject(context, 'x');
    expect((await allBlobs(vault)).map((blob) => blob.slice(0, 2))).toEqual(['p4']);
  });
});

it('reading goes on where the engine cannot say what was moved', async () => {
  const vault = await fourPlaces();
  const relocations = {
    told: async () => [],
    open: () => Promise.reject(new HoldfastError('Unavailable', 'it is locked')),
  };
  const locked = { ...vault.context, relocations };
  const object = await getObject(locked, 'x');
  expect(Buffer.compare(await readAll(object), noise(700_000))).toBe(0);
  const retention = createRetention(locked, 0);
  await expect(deleteObject({ ...locked, retention }, 'x')).rejects.toThrow('it is locked');
});
