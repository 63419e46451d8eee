import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { secureRandom } from '../../src/core/random.ts';
import { deriveSubkeys, vaultKeysOf } from '../../src/keys/derivation.ts';
import { encodeRelocation } from '../../src/manifest/relocation.ts';
import { decodeRoot } from '../../src/manifest/root.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { type DamageNote, damagedSegments } from '../../src/records/damage.ts';
import { listManifests, localRoot } from '../../src/records/manifests.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { type ScrubOptions, type ScrubResult, scrubStored } from '../../src/upkeep/scrub/scrub.ts';
import { nextPart } from '../../src/upkeep/scrub/state.ts';
import { allBlobs, faultyVault } from '../helpers/faulty.ts';
import { noise, type TestVault, type TestVaultOptions, testVault } from '../helpers/vault.ts';

const FAST = 1e12;
const scrub = (
  { context }: Pick<TestVault, 'context'>,
  options: Partial<ScrubOptions> = {},
): Promise<ScrubResult> =>
  scrubStored(context, { ...options, bytesPerSecond: options.bytesPerSecond ?? FAST });

/** Small objects, kept as copies, and larger ones, which are coded. */
async function fill(vault: TestVault, objects: number): Promise<void> {
  for (let i = 0; i < objects; i++)
    await putObject(vault.context, noise(i % 3 === 0 ? 900 : 150_000, 100 + i), { name: `o${i}` });
}

async function filled(objects: number, options: TestVaultOptions = {}): Promise<TestVault> {
  const vault = await testVault({ chunkBytes: 64 * 1024, ...options });
  await fill(vault, objects);
  return vault;
}

async function notesOf({ context }: Pick<TestVault, 'context'>): Promise<DamageNote[]> {
  const notes: DamageNote[] = [];
  for await (const one of damagedSegments(context)) notes.push(...one.notes);
  return notes;
}

async function rowsOf({ context }: TestVault): Promise<(readonly [string, Uint8Array])[]> {
  const rows: (readonly [string, Uint8Array])[] = [];
  for await (const row of context.engine.table('damage').entries()) rows.push(row);
  return rows;
}

const adapterOf = ({ providers }: TestVault, id: string): BlobAdapter =>
  providers.find((provider) => provider.id === id)!.adapter;

/** Alters a byte of a blob, and so one shard at the most. */
async function rot(vault: TestVault, id: string, address: BlobAddress, at = 0): Promise<void> {
  const adapter = adapterOf(vault, id);
  const bytes = (await adapter.fetch(address)).slice();
  bytes[at % bytes.length]! ^= 1;
  await adapter.delete(address);
  await adapter.store(address, [bytes]);
}

/** Takes away every second of so many blobs, and lets the others rot. @returns `provider/address problem`. */
async function plant(vault: TestVault, count: number, seed = 9): Promise<string[]> {
  // Of a small object nothing says whether there was a spare copy of its root.
  const roots = new Set<string>();
  for await (const { address, root } of listManifests(vault.context))
    if (root.code.algorithm === 'replica') roots.add(address);
  const left = (await allBlobs(vault)).filter((blob) => !roots.has(blob.split('/')[1]!));
  const dice = new Uint32Array(noise(4 * count, seed).buffer);
  const planted: string[] = [];
  for (const [i, die] of dice.entries()) {
    const [one] = left.splice(die % left.length, 1);
    const [id, address] = one!.split('/') as [string, BlobAddress];
    if (i % 2 === 0) await adapterOf(vault, id).delete(address);
    else await rot(vault, id, address, die >>> 8);
    planted.push(`${one} ${i % 2 === 0 ? 'missing' : 'corrupt'}`);
  }
  return planted.sort();
}

const told = (notes: readonly DamageNote[]): string[] =>
  notes.map(({ provider, pack, problem }) => `${provider}/${pack} ${problem}`).sort();

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
  const [first, second] = (await allBlobs(vault)).filter((blob) => blob.startsWith('p1/'));
  const [a, b] = [first!.slice(3), second!.slice(3)] as [BlobAddress, BlobAddress];
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

it('the parts of a scrub are together all of it, and each is of other blobs', async () => {
  const vault = await filled(12);
  const planted = await plant(vault, 20);
  const whole = await scrub(vault);
  const parts = await Promise.all([1, 2, 3].map((part) => scrub(vault, { subset: { part, of: 3 } })));
  const sum = (of: (one: ScrubResult) => number): number => parts.reduce((all, one) => all + of(one), 0);
  const packsOf = ({ providers }: ScrubResult) => providers.reduce((all, { packs }) => all + packs, 0);
  expect(sum(({ damaged }) => damaged)).toBe(20);
  expect(sum(packsOf)).toBe(packsOf(whole));
  expect(sum(({ nodes }) => nodes.checked)).toBe(whole.nodes.checked);
  for (const part of parts) expect(part.damaged).toBeLessThan(20);
  expect(told(await notesOf(vault))).toEqual(planted);
});

it('a scrub that was cut off is gone on with, and has found the same in the end', async () => {
  let reads = 0;
  const stop = { at: Number.POSITIVE_INFINITY, now: new AbortController() };
  const counting = (adapter: BlobAdapter): BlobAdapter => ({
    ...adapter,
    fetchStream(address, options) {
      if (++reads === stop.at) stop.now.abort();
      return adapter.fetchStream(address, options);
    },
  });
  const vault = await filled(100, { wrap: counting });
  const planted = await plant(vault, 50);
  const whole = await scrub(vault);
  const all = reads;
  for (const { segment, provider, pack } of await notesOf(vault))
    await vault.context.engine.table('damage').delete(`${segment}/${provider}/${pack}`);
  let cuts = 0;
  let result: ScrubResult | undefined;
  reads = 0;
  while (result === undefined) {
    stop.at = reads + Math.floor(all / 4);
    stop.now = new AbortController();
    result = await scrub(vault, { signal: stop.now.signal }).catch((error: unknown) => {
      expect(error).toMatchObject({ kind: 'Aborted' });
      cuts++;
      return undefined;
    });
  }
  expect(cuts).toBeGreaterThan(1);
  // What was under way is read again, and no more.
  expect(reads).toBeLessThan(2 * all);
  expect(result).toMatchObject({ damaged: whole.damaged, manifests: 100, segments: 100, nodes: whole.nodes });
  expect(told(await notesOf(vault))).toEqual(planted);
  reads = 0;
  expect(await scrub(vault, { restart: true })).toMatchObject({ resumed: false, manifests: 100 });
  expect(reads).toBe(all);
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
  expect(await scrub(vault)).toMatchObject({ damaged: 0 });
  expect(await notesOf(vault)).toEqual([]);
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

it('an object of many segments is gone on with in its midst', async () => {
  const policy = { packTargetBytes: 16 * 1024, replicaBelowBytes: 0 };
  let packs = 0;
  const stop = { at: Number.POSITIVE_INFINITY, now: new AbortController() };
  const counting = (adapter: BlobAdapter): BlobAdapter => ({
    ...adapter,
    fetchStream(address, options) {
      if (++packs === stop.at) stop.now.abort();
      return adapter.fetchStream(address, options);
    },
  });
  const vault = await testVault({ chunkBytes: 64 * 1024, policy, wrap: counting });
  await putObject(vault.context, noise(4_000_000), { name: 'x' });
  const whole = await scrub(vault);
  expect(whole.segments).toBeGreaterThan(16);
  const all = packs;
  // The root, and a node for each segment.
  expect(whole.nodes.checked).toBe(whole.segments + 1);
  stop.at = packs + Math.floor(all / 2);
  await expect(scrub(vault, { signal: stop.now.signal })).rejects.toMatchObject({ kind: 'Aborted' });
  packs = 0;
  const { startedMs: _, finishedMs: __, resumed, ...rest } = await scrub(vault);
  expect(resumed).toBe(true);
  expect(whole).toMatchObject(rest);
  expect(packs).toBeLessThan(all);
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

const vector: { key: string; value: string } = JSON.parse(
  readFileSync(new URL('../vectors/scrub-v1.json', import.meta.url), 'utf8'),
);

it('how far a scrub is, is read as the format page has it', async () => {
  const vault = await testVault({ providers: 1 });
  await vault.context.engine.table('upkeep').put(vector.key, Buffer.from(vector.value));
  const result = await scrub(vault, { subset: { part: 2, of: 7 } });
  expect(result).toMatchObject({
    ...{
      resumed: true,
      startedMs: 1_700_000_000_000,
      manifests: 5,
      segments: 9,
      damaged: 6,
      unheard: 4,
      unnoted: 8,
    },
    nodes: { checked: 4, missing: 1, corrupt: 2 },
    providers: [{ provider: 'p1', packs: 6, bytes: 700, missing: 1, corrupt: 2, rotten: 3, unheard: 4 }],
    unread: { count: 1 },
  });
  const { at: _, ...rest } = JSON.parse(vector.value);
  const row = JSON.parse(
    Buffer.from((await vault.context.engine.table('upkeep').get(vector.key))!).toString(),
  );
  expect(row).toEqual({ ...rest, finished: result.finishedMs });
});

it.each(['{', '{"v":2}', vector.value.replace('"manifests":5', '"manifests":-5')])(
  'a scrub whose record is %s begins anew',
  async (row) => {
    const vault = await testVault({ providers: 1 });
    await vault.context.engine.table('upkeep').put(vector.key, Buffer.from(row));
    const result = await scrub(vault, { subset: { part: 2, of: 7 } });
    expect(result).toMatchObject({ resumed: false, manifests: 0, damaged: 0 });
  },
);

it('everything is read in turn, a part a day, and one that was cut off first', async () => {
  const vault = await filled(2);
  const { engine, clock } = vault.context;
  const next = (of: number, days = 0) => nextPart(engine, of, clock.now() + days * 86_400_000, {});
  expect(await next(3)).toEqual({ part: 1, of: 3 });
  for (const [part, after] of [
    [1, 2],
    [2, 3],
  ] as const) {
    await scrub(vault, { subset: { part, of: 3 } });
    expect(await next(3)).toBeUndefined();
    expect(await next(3, 1.01)).toEqual({ part: after, of: 3 });
  }
  // Another division begins anew.
  expect(await next(2)).toEqual({ part: 1, of: 2 });
  const stop = new AbortController();
  const onProgress = (): void => stop.abort();
  await expect(
    scrub(vault, { subset: { part: 3, of: 3 }, onProgress, signal: stop.signal }),
  ).rejects.toThrow();
  expect(await next(3)).toEqual({ part: 3, of: 3 });
  await scrub(vault, { subset: { part: 3, of: 3 } });
  // What was read under a clock that was ahead keeps nothing waiting.
  expect(await next(3, -1)).toEqual({ part: 1, of: 3 });
});
