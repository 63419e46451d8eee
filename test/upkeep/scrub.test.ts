import { expect, it } from 'vitest';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { secureRandom } from '../../src/core/random.ts';
import { deriveSubkeys, vaultKeysOf } from '../../src/keys/derivation.ts';
import { encodeRelocation } from '../../src/manifest/relocation.ts';
import { decodeRoot } from '../../src/manifest/root.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { localRoot } from '../../src/records/manifests.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { allBlobs, faultyVault } from '../helpers/faulty.ts';
import { adapterOf, fill, filled, notesOf, plant, rot, scrub, told } from '../helpers/scrubbing.ts';
import { noise, type TestVault, testVault } from '../helpers/vault.ts';

async function rowsOf({ context }: TestVault): Promise<(readonly [string, Uint8Array])[]> {
  const rows: (readonly [string, Uint8Array])[] = [];
  for await (const row of context.engine.table('damage').entries()) rows.push(row);
  return rows;
}

const MANY = process.env.SLOW === '1' ? 1_000 : 60;

it(`${MANY} blobs that are missing or rotten are found by one scrub, and nothing else is`, async () => {
  const vault = await filled(MANY / 4);
  const planted = await plant(vault, MANY);
  const result = await scrub(vault);
  expect(result).toMatchObject({ damaged: MANY, unheard: 0, unnoted: 0, unread: { count: 0 } });
  expect(told(await notesOf(vault))).toEqual(planted);
}, 300_000);

it('a vault in which all is well is found so', async () => {
  const vault = await filled(6);
  const result = await scrub(vault);
  expect(result).toMatchObject({ damaged: 0, unheard: 0, manifests: 6, segments: 6, resumed: false });
  expect(await notesOf(vault)).toEqual([]);
});

it('what was mended since is taken out of the notes, and what is still wrong keeps its time', async () => {
  const vault = await filled(3);
  // The longest are packs: of a node a copy to spare is not missed.
  const here = (await allBlobs(vault)).filter((blob) => blob.startsWith('p1/'));
  const sized = await Promise.all(
    here.map(async (blob) => {
      const address = blob.slice(3) as BlobAddress;
      return { address, size: (await adapterOf(vault, 'p1').stat(address)).size };
    }),
  );
  const [a, b] = sized.sort((x, y) => y.size - x.size).map(({ address }) => address) as [
    BlobAddress,
    BlobAddress,
  ];
  const bytes = await adapterOf(vault, 'p1').fetch(a);
  await adapterOf(vault, 'p1').delete(a);
  await rot(vault, 'p1', b);
  expect(await scrub(vault)).toMatchObject({ damaged: 2 });
  const before = await notesOf(vault);
  await adapterOf(vault, 'p1').store(a, [bytes]);
  expect(await scrub(vault)).toMatchObject({ damaged: 1, resumed: false });
  expect(await notesOf(vault)).toEqual(before.filter(({ pack }) => pack === b));
});

it('a rotten byte makes one shard rotten, and every byte all of the pack', async () => {
  const vault = await testVault({ chunkBytes: 64 * 1024 });
  const { manifest } = await putObject(vault.context, noise(600_000), { name: 'x' });
  const root = decodeRoot((await localRoot(vault.context, manifest))!);
  const { packs, places } = 'segment' in root.body ? root.body.segment : expect.fail('a segment in the root');
  const [one, other] = [packs[0]!, packs[1]!];
  await rot(vault, one.provider, one.address);
  await adapterOf(vault, other.provider).delete(other.address);
  await adapterOf(vault, other.provider).store(other.address, [noise(other.length, 77)]);
  const { providers } = await scrub(vault);
  const rotten = providers.map(({ provider, corrupt, rotten }) => [provider, corrupt, rotten]);
  const all = [...places].filter((pack) => pack === 1).length;
  expect(all).toBeGreaterThan(2);
  expect(rotten.filter(([, corrupt]) => corrupt !== 0)).toEqual(
    [
      [one.provider, 1, 1],
      [other.provider, 1, all],
    ].sort(),
  );
  const shards = (await notesOf(vault)).map((note) => [note.provider, note.shards?.length]);
  expect(shards.sort()).toEqual(
    [
      [one.provider, 1],
      [other.provider, undefined],
    ].sort(),
  );
});

it("shards that were moved are looked for where they are, and where they were they are nobody's concern", async () => {
  const vault = await testVault({ chunkBytes: 64 * 1024, providers: 9 });
  const { manifest } = await putObject(vault.context, noise(600_000), { name: 'x' });
  const root = decodeRoot((await localRoot(vault.context, manifest))!);
  const { packs, places } = 'segment' in root.body ? root.body.segment : expect.fail('a segment in the root');
  const [from, to] = [packs[0]!, packs[1]!.provider];
  await adapterOf(vault, to).store(from.address, [await adapterOf(vault, from.provider).fetch(from.address)]);
  await rot(vault, from.provider, from.address);
  const shards = [...places.keys()].filter((at) => places[at] === 0);
  const row = encodeRelocation({ segment: manifest, movedMs: 1, packs: [{ ...from, provider: to, shards }] });
  const key = `${manifest}/${'1'.padStart(14, '0')}/${addressOf(vault.context.blake3.hash(row))}`;
  expect(await scrub(vault)).toMatchObject({ damaged: 1 });
  await vault.context.engine.table('relocations').put(key, row);
  expect(await scrub(vault)).toMatchObject({ damaged: 0 });
  expect(await notesOf(vault)).toEqual([]);
  await adapterOf(vault, to).delete(from.address);
  await scrub(vault);
  expect(told(await notesOf(vault))).toEqual([`${to}/${from.address} missing`]);
});

it('a provider that hangs is passed over, is no damage, and holds up none of the others', async () => {
  const vault = await faultyVault({ chunkBytes: 64 * 1024 });
  await fill(vault, 12);
  const planted = await plant(vault, 10);
  const directory = { ...vault.context.directory, respondsToProbe: async (id: string) => id !== 'p3' };
  vault.faulty[2]!.setFaults({ hang: 1 });
  const result = await scrub({ context: { ...vault.context, directory } });
  const atOthers = planted.filter((one) => !one.startsWith('p3/'));
  expect(told(await notesOf(vault))).toEqual(atOthers);
  const silent = result.providers.find(({ provider }) => provider === 'p3');
  expect(silent).toMatchObject({ packs: 0, missing: 0, corrupt: 0, why: expect.stringContaining('answer') });
  expect(result.unheard).toBe(silent!.unheard);
  vault.faulty[2]!.setFaults({});
  await scrub(vault);
  expect(told(await notesOf(vault))).toEqual(planted);
});

it.each(['Unavailable', 'Timeout', 'PermissionDenied', 'RateLimited'] as const)(
  'a provider that fails with %s is no damage, and what was noted of it stays',
  async (kind) => {
    const vault = await faultyVault({ chunkBytes: 64 * 1024 });
    await fill(vault, 4);
    const planted = await plant(vault, 10);
    await scrub(vault);
    for (const faulty of vault.faulty)
      faulty.setFaults({ error: kind, operations: ['fetchStream', 'fetch'] });
    const result = await scrub(vault);
    expect(result.damaged).toBe(0);
    expect(result.unheard).toBeGreaterThan(0);
    expect(told(await notesOf(vault))).toEqual(planted);
  },
);

it('what is being removed, or was, while the scrub read it is no damage', async () => {
  let during: (() => Promise<void>) | undefined;
  let done: Promise<void> | undefined;
  const wrap = (adapter: BlobAdapter): BlobAdapter => ({
    ...adapter,
    async *fetchStream(address, options) {
      // No pack is read before it is done.
      done ??= during?.();
      await done;
      yield* adapter.fetchStream(address, options);
    },
  });
  const vault = await filled(3, { wrap });
  during = async () => {
    await deleteObject(vault.context, 'o0');
    await deleteObject(vault.context, 'o2');
  };
  const blamed: string[] = [];
  const directory: typeof vault.context.directory = {
    ...vault.context.directory,
    report: (id, { error }) => void (error !== undefined && blamed.push(id)),
  };
  expect(await scrub({ context: { ...vault.context, directory } })).toMatchObject({ damaged: 0 });
  expect(await notesOf(vault)).toEqual([]);
  // Or they would pass for liars, and get nothing new.
  expect(blamed).toEqual([]);
});

it('notes of an object go with it', async () => {
  const vault = await filled(2);
  await plant(vault, 6);
  await scrub(vault);
  expect(await notesOf(vault)).toHaveLength(6);
  const [[key, row] = []] = await rowsOf(vault);
  for (const name of ['o0', 'o1']) await deleteObject(vault.context, name);
  expect(await notesOf(vault)).toEqual([]);
  // As one that was found while its object was removed.
  await vault.context.engine.table('damage').put(key!, row!);
  await scrub(vault);
  expect(await notesOf(vault)).toEqual([]);
});

it('a segment whose node nobody has is told, and what is beside it is looked at', async () => {
  const policy = { packTargetBytes: 16 * 1024, replicaBelowBytes: 0 };
  const vault = await testVault({ chunkBytes: 64 * 1024, policy });
  const { manifest } = await putObject(vault.context, noise(1_000_000), { name: 'x' });
  const root = decodeRoot((await localRoot(vault.context, manifest))!);
  const node = 'links' in root.body ? root.body.links[1]!.cid.address : expect.fail('links');
  const before = await scrub(vault);
  for (const { adapter } of vault.providers) await adapter.delete(node);
  const result = await scrub(vault);
  expect(result).toMatchObject({ unread: { count: 1, first: [manifest] }, segments: before.segments });
  const notes = await notesOf(vault);
  expect(notes.length).toBeGreaterThan(1);
  expect(new Set(notes.map(({ pack, problem }) => `${pack} ${problem}`))).toEqual(
    new Set([`${node} missing`]),
  );
});

it('copies that a put could not make, for a provider was away, are not missed', async () => {
  const vault = await testVault({ chunkBytes: 64 * 1024, providers: 5 });
  for (const id of ['p1', 'p2']) vault.gone.add(id);
  await fill(vault, 4);
  vault.gone.clear();
  expect(await scrub(vault)).toMatchObject({ damaged: 0 });
});

it('no key is needed', async () => {
  const vault = await filled(4);
  const planted = await plant(vault, 10);
  const keys = vaultKeysOf(deriveSubkeys(secureRandom(32)));
  expect(await scrub({ context: { ...vault.context, keys } })).toMatchObject({ damaged: 10 });
  expect(told(await notesOf(vault))).toEqual(planted);
});

it('what is read is paced', async () => {
  let nowMs = 0;
  const vault = await filled(4);
  const clock = {
    ...vault.context.clock,
    monotonic: () => nowMs,
    sleep: async (ms: number) => {
      nowMs += ms;
    },
  };
  const { providers } = await scrub({ context: { ...vault.context, clock } }, { bytesPerSecond: 1000 });
  const bytes = providers.reduce((sum, its) => sum + its.bytes, 0);
  // The first is not waited for; copies of nodes are read too.
  expect(nowMs).toBeGreaterThan(bytes - 100_000);
});

it.each([
  { subset: { part: 0, of: 3 } },
  { subset: { part: 4, of: 3 } },
  { subset: { part: 1, of: 1.5 } },
  { bytesPerSecond: 0 },
])('%j is refused', async (options) => {
  const vault = await testVault({ providers: 1 });
  await expect(scrub(vault, options)).rejects.toMatchObject({ kind: 'ConfigInvalid', code: 'bad_option' });
});
