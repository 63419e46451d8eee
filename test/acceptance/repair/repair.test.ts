import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { BlobAddress } from '../../../src/core/address.ts';
import { openVault } from '../../../src/index.ts';
import { relocationSlotName } from '../../../src/manifest/relocation-slot.ts';
import { noteDamage } from '../../../src/records/damage.ts';
import { MARK_SLOT } from '../../../src/records/move-marks.ts';
import { internalsOf } from '../../../src/vault/opened-vault.ts';
import { vanish } from '../../helpers/files.ts';
import { keysIn, packAt, type StoredSegment, segmentsNow } from '../../helpers/moving.ts';
import { BIG, blobsOf, expectIntact, type Nine, nine, read, SMALL } from '../../helpers/nine.ts';
import { noise } from '../../helpers/vault.ts';

/** Files of slots at all providers, but for those that say who moved shards, and the copies of names. */
async function slotsOf({ home }: Nine, names: readonly string[]): Promise<string[]> {
  const files = await readdir(join(home, 'providers'), { recursive: true });
  const others = [MARK_SLOT, ...names];
  return files
    .filter((file) => file.includes('slot') && !file.startsWith('p3'))
    .filter((file) => !others.some((slot) => file.includes(slot)))
    .sort();
}

interface Pack {
  readonly path: string;
  readonly address: BlobAddress;
  readonly segment: BlobAddress;
  readonly manifest: BlobAddress;
  readonly provider: string;
}

async function segmentOf({ vault }: Nine): Promise<StoredSegment> {
  const { manifest } = await vault.statObject('big');
  return (await segmentsNow(internalsOf(vault).context, manifest))[0]!;
}

/** A provider's pack of the big object's first segment. */
async function packOf(its: Nine, provider: string): Promise<Pack> {
  const its1 = await segmentOf(its);
  const { manifest, segment } = its1;
  const { address } = packAt(its1, provider);
  const path = (await blobsOf(its, provider)).find((one) => one.endsWith(address.slice(5)))!;
  return { path, address, segment, manifest, provider };
}

/** Says of a pack what a scrub would. */
async function note(
  its: Nine,
  { segment, manifest, provider, address }: Pack,
  problem: 'missing' | 'corrupt',
  shards?: readonly number[],
): Promise<void> {
  const found = { segment, manifest, provider, pack: address, problem, shards, foundBy: 'scrub' } as const;
  await noteDamage(internalsOf(its.vault).context, [found]);
}

describe('repair', () => {
  it('mends at once what was rotten at every provider, and what is put meanwhile keeps its promise', async () => {
    const its = await nine();
    const { vault } = its;
    for (let i = 1; i <= 9; i++) {
      const { path } = await packOf(its, `p${i}`);
      const bytes = await readFile(path);
      bytes[5]! ^= 1;
      await writeFile(path, bytes);
    }
    expect((await vault.scrub({ restart: true })).damaged).toBe(9);
    const states = (await vault.providers.list()).map(({ state }) => state);
    expect(states).toEqual(new Array(9).fill('lying'));
    const { certificate } = await vault.putObject(noise(200_000, 3), { name: 'meanwhile' });
    expect(certificate.tolerates).toBe(3);
    const { chunks, incomplete } = await vault.repair();
    expect({ ...chunks, incomplete }).toMatchObject({ failure: 0, skipped: 0, fatal: 0, incomplete: false });
    await expectIntact(vault);
    expect((await vault.statObject('big')).live.certificate.tolerates).toBe(3);
  });

  it('rebuilds elsewhere what a provider held that is gone for good', async () => {
    const its = await nine();
    const { home, vault } = its;
    await vanish(join(home, 'providers', 'p3'));
    await vault.providers.setLost('p3', true);
    const result = await vault.repair();
    expect(result).toMatchObject({
      lost: [{ provider: 'p3', why: 'declared' }],
      chunks: { failure: 0, skipped: 0, fatal: 0 },
      incomplete: false,
    });
    expect(result.chunks.success).toBeGreaterThan(0);
    await expectIntact(vault);
    const { live } = await vault.statObject('big');
    // As many as nine less one survive.
    expect(live.certificate.tolerates).toBe(2);
    expect(live.without).toEqual([]);
    // Then any two more may vanish.
    for (const id of ['p1', 'p2']) await vanish(join(home, 'providers', id));
    for (const [name, bytes] of [
      ['big', BIG],
      ['small', SMALL],
    ] as const) {
      expect(Buffer.compare(await read(vault, name), bytes)).toBe(0);
    }
  });

  it('puts off to the next day what a cap of the day does not let be read, and then does it at once', async () => {
    const { home, vault } = await nine();
    await vanish(join(home, 'providers', 'p3'));
    await vault.providers.setLost('p3', true);
    await vault.close();
    const capped = await openVault({ home, config: { repair: { egressPerDay: 0 } }, env: {} });
    onTestFinished(() => capped.close());
    const result = await capped.repair();
    expect(result.chunks).toMatchObject({ success: 0, failure: 0, fatal: 0 });
    expect(result.chunks.skipped).toBeGreaterThan(0);
    expect(result.capped.length).toBeGreaterThan(0);
    expect(result.bytesRead + result.bytesRestored).toBe(0);
    await capped.close();
    const open = await openVault({ home, env: {} });
    onTestFinished(() => open.close());
    expect((await open.repair()).chunks).toMatchObject({ failure: 0, skipped: 0, fatal: 0 });
    await expectIntact(open);
  });

  it('brings back a certificate that it had to lower, once there is where to', async () => {
    const its = await nine();
    const { home, vault } = its;
    const gone = ['p3', 'p7'];
    for (const id of gone) await vault.providers.setLost(id, true);
    await vault.repair();
    expect((await vault.status()).survival).toMatchObject({ due: 0, least: 2 });
    expect((await vault.status()).survival.short).toBeGreaterThan(0);
    // Nobody is there who could take more: nothing is tried.
    expect(await vault.repair()).toMatchObject({ manifests: 0, bytesRead: 0, bytesRestored: 0 });
    for (const id of gone) await vault.providers.setLost(id, false);
    await vault.close();
    const key = join(home, 'vault.key');
    await rename(key, `${key}.away`);
    const worker = await openVault({ home, sealed: true, env: {} });
    const { chunks, bytesRestored } = await worker.repair();
    expect(chunks).toMatchObject({ failure: 0, skipped: 0, fatal: 0 });
    expect(bytesRestored).toBeGreaterThan(0);
    expect(bytesRestored).toBeLessThan(BIG.length);
    expect((await worker.status()).survival).toMatchObject({ due: 0, short: 0, least: 3 });
    expect(await worker.repair()).toMatchObject({ manifests: 0, bytesRead: 0, bytesRestored: 0 });
    await worker.close();
    await rename(`${key}.away`, key);
    const again = await openVault({ home, env: {} });
    onTestFinished(() => again.close());
    await expectIntact(again);
    expect((await again.statObject('big')).live.certificate.tolerates).toBe(3);
    for (const id of ['p1', 'p2', 'p9']) await vanish(join(home, 'providers', id));
    expect(Buffer.compare(await read(again, 'big'), BIG)).toBe(0);
  });

  it('has nothing to do after it was done', async () => {
    const { home, vault } = await nine();
    await vanish(join(home, 'providers', 'p3'));
    await vault.providers.setLost('p3', true);
    await vault.repair();
    expect(await vault.repair()).toMatchObject({
      manifests: 0,
      bytesRestored: 0,
      bytesRead: 0,
      nodeCopies: 0,
    });
  });

  it('stores a pack that is gone again where it was', async () => {
    const its = await nine();
    const pack = await packOf(its, 'p5');
    const { path } = pack;
    const before = await readFile(path);
    await rm(path);
    await note(its, pack, 'missing');
    const result = await its.vault.repair();
    expect(result.bytesRestored).toBe(before.length);
    expect(Buffer.compare(await readFile(path), before)).toBe(0);
    await expectIntact(its.vault);
    expect(await its.vault.repair()).toMatchObject({ manifests: 0, bytesRestored: 0 });
  });

  it('stores a pack of which all is wrong over the wrong bytes', async () => {
    const its = await nine();
    const pack = await packOf(its, 'p5');
    const { path } = pack;
    const before = await readFile(path);
    await writeFile(path, Buffer.alloc(before.length, 7));
    await note(its, pack, 'corrupt');
    await its.vault.repair();
    expect(Buffer.compare(await readFile(path), before)).toBe(0);
    await expectIntact(its.vault);
  });

  it('reads three or four shards for one shard of a group, and leaves the rest of its pack alone', async () => {
    const its = await nine();
    const { view } = await segmentOf(its);
    const at = 0; // the first data shard of the first chunk
    const pack = await packOf(its, view.record.packs[view.record.places[at]!]!.provider);
    const { path } = pack;
    const bytes = await readFile(path);
    bytes[view.layout.offsets[at]!]! ^= 1;
    await writeFile(path, bytes);
    await note(its, pack, 'corrupt', [at]);
    const result = await its.vault.repair();
    const length = view.shardLengths[0]!;
    expect(result.bytesRestored).toBe(length);
    expect(result.bytesRead / length).toBeGreaterThanOrEqual(3);
    expect(result.bytesRead / length).toBeLessThanOrEqual(4);
    expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
    await expectIntact(its.vault);
  });

  it('needs no key', async () => {
    const its = await nine();
    await vanish(join(its.home, 'providers', 'p3'));
    await its.vault.providers.setLost('p3', true);
    await its.vault.close();
    const key = join(its.home, 'vault.key');
    await rename(key, `${key}.away`);
    const worker = await openVault({ home: its.home, sealed: true, env: {} });
    const result = await worker.repair();
    await worker.close();
    expect(result.chunks.success).toBeGreaterThan(0);
    await rename(`${key}.away`, key);
    const vault = await openVault({ home: its.home, env: {} });
    onTestFinished(() => vault.close());
    await expectIntact(vault);
  });

  it('leaves to those who have the key what takes one', async () => {
    const its = await nine();
    await vanish(join(its.home, 'providers', 'p3'));
    await its.vault.providers.setLost('p3', true);
    const { segment, manifest, address } = await packOf(its, 'p1');
    const { keys } = internalsOf(its.vault).context;
    const names = ['big', 'small'].map((name) => keys.slotName(name));
    await its.vault.close();
    const slots = await slotsOf(its, names);
    const worker = await openVault({ home: its.home, sealed: true, env: {} });
    // What was moved away, and may go by now.
    const place = `p1/${address}`;
    const row = { v: 1, state: 'leaving', segment, manifest, bytes: 1, since: 0, recoveries: 0, due: 0 };
    const { engine } = internalsOf(worker).context;
    await engine.table('moves').put(place, new TextEncoder().encode(JSON.stringify(row)));
    await engine.table('open_moves').put(place, new Uint8Array());
    await worker.repair();
    const { context } = internalsOf(worker);
    const log = async (): Promise<string> =>
      new TextDecoder().decode(await context.engine.table('upkeep').get('chores'));
    await expect.poll(log, { timeout: 10_000 }).toContain('shard index');
    expect(await context.engine.table('moves').get(place)).toBeDefined();
    const segments = (await keysIn(context, 'relocations')).map((key) => key.split('/')[0] as BlobAddress);
    const told = segments.map((one) => relocationSlotName(context.blake3, one));
    await worker.close();
    const after = await slotsOf(its, names);
    expect(after.filter((file) => !told.some((name) => file.includes(name)))).toEqual(slots);
    expect(after.length).toBeGreaterThan(slots.length);
  });

  it('says of what cannot be rebuilt that its code is at its limit, and repairs the rest', async () => {
    const { home, vault } = await nine();
    for (const id of ['p1', 'p2', 'p3', 'p4', 'p5']) {
      await vanish(join(home, 'providers', id));
      await vault.providers.setLost(id, true);
    }
    const result = await vault.repair();
    expect(result.chunks.fatal).toBeGreaterThan(0);
    const history = [];
    for await (const entry of vault.repairHistory()) history.push(entry);
    const fatal = history.filter(({ status }) => status === 'fatal').map(({ error }) => error);
    expect(fatal).toContainEqual(expect.stringMatching(/^algorithm_limited:lrc:missing=\d+:parity=11$/));
    // It waits from now on, and shows when it is tried again.
    expect((await vault.repair()).chunks).toMatchObject({ fatal: 0, skipped: result.chunks.fatal });
  });

  it('leaves no blob behind that nothing leads to', async () => {
    const its = await nine();
    await vanish(join(its.home, 'providers', 'p3'));
    await its.vault.providers.setLost('p3', true);
    await its.vault.repair();
    for (const name of ['big', 'small']) await its.vault.deleteObject(name);
    await its.vault.gc({ minAgeMs: 0 });
    for (const id of await readdir(join(its.home, 'providers'))) expect(await blobsOf(its, id)).toEqual([]);
  });
});

it('what was found of an object while it was removed is forgotten', async () => {
  const { vault } = await nine();
  const gone = `b3:${'5'.repeat(64)}` as BlobAddress;
  const where = {
    segment: gone,
    manifest: gone,
    provider: 'p1',
    pack: `b3:${'6'.repeat(64)}` as BlobAddress,
  };
  await noteDamage(internalsOf(vault).context, [{ ...where, problem: 'missing', foundBy: 'read' }]);
  expect((await vault.status()).damage).toMatchObject({ segments: 1 });
  await vault.repair();
  expect((await vault.status()).damage).toMatchObject({ segments: 0, missing: 0 });
});
