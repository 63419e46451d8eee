import { expect, it } from 'vitest';
import type { BlobAddress } from '../../src/core/address.ts';
import { systemClock } from '../../src/core/clock.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { createMemoryEngine } from '../../src/engine/index.ts';
import { decodeRoot } from '../../src/manifest/root.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { generationOf } from '../../src/records/generation.ts';
import { createPlaces } from '../../src/records/places.ts';
import { retiredVersions } from '../../src/records/retired.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { scrubProviders } from '../../src/upkeep/gc.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { createRetention, retireDue } from '../../src/upkeep/retention.ts';
import { aroundWrites, touches } from '../helpers/engine.ts';
import { allBlobs } from '../helpers/faulty.ts';
import { noise, testVault } from '../helpers/vault.ts';

const HOUR = 3_600_000;

/** A vault with an object of several segments, the first of whose nodes is damaged at every provider, for ever. */
async function rottenVault() {
  let node: BlobAddress | undefined;
  const silent = new Set<string>();
  const wrap = (adapter: BlobAdapter): BlobAdapter => ({
    ...adapter,
    fetch: async (address, options) => {
      if (silent.has(adapter.adapterId)) throw new HoldfastError('Unavailable', 'it does not answer');
      const bytes = await adapter.fetch(address, options);
      if (address !== node) return bytes;
      const other = bytes.slice();
      other[5]! ^= 1;
      return other;
    },
  });
  const vault = await testVault({ providers: 4, policy: { packTargetBytes: 64 * 1024 }, wrap });
  const time = { ms: Date.now() };
  const base = { ...vault.context, clock: { ...systemClock, now: () => time.ms } };
  const context: VaultContext = {
    ...base,
    places: createPlaces(base),
    retention: createRetention(base, 0),
  };
  const { manifest } = await putObject(context, noise(900_000, 1), { name: 'x' });
  const { body } = decodeRoot((await context.engine.table('manifests').get(manifest))!);
  if (!('links' in body)) throw new Error('one segment only');
  node = body.links[0]!.cid.address;
  const repair = (): void => {
    node = undefined;
  };
  return { vault, context, time, silent, repair };
}

const isRetired = async (context: VaultContext): Promise<boolean> => {
  for await (const _ of retiredVersions(context)) return true;
  return false;
};

it('a version of which a node is damaged wherever it is stays for a day, then all of it goes that can be found', async () => {
  const { vault, context, time } = await rottenVault();
  const whole = (await allBlobs(vault)).length;
  expect(await deleteObject(context, 'x')).toMatchObject({ deleted: 0, postponed: expect.any(String) });
  for (let hour = 0; hour < 24; hour++) {
    expect(await retireDue(context)).toMatchObject({ retired: 0, lost: [] });
    // Unreadable is not absent: till then gc deletes nothing either.
    if (hour === 12) expect((await scrubProviders(context, { minAgeMs: 0 })).unread).toHaveLength(1);
    time.ms += HOUR;
  }
  expect(await allBlobs(vault)).toHaveLength(whole);
  expect(await retireDue(context)).toMatchObject({ retired: 1, lost: [{ nodes: 1 }] });
  expect(await isRetired(context)).toBe(false);
  const left = await allBlobs(vault);
  expect(left.length).toBeGreaterThan(0);
  expect(left.length).toBeLessThan(whole / 2);
  // What it led to only a listing finds, where nobody else stores.
  const scrubbed = await scrubProviders(context, { minAgeMs: 0 });
  expect(scrubbed.unread).toEqual([]);
  expect(await allBlobs(vault)).toEqual([]);
});

it('six attempts in a short time are not enough, nor a day with few', async () => {
  const { context, time } = await rottenVault();
  await deleteObject(context, 'x');
  for (let attempt = 0; attempt < 8; attempt++) {
    time.ms += HOUR;
    expect(await retireDue(context)).toMatchObject({ retired: 0 });
  }
  const few = await rottenVault();
  await deleteObject(few.context, 'x');
  for (let attempt = 0; attempt < 4; attempt++) {
    few.time.ms += 48 * HOUR;
    expect(await retireDue(few.context)).toMatchObject({ retired: 0 });
  }
  few.time.ms += HOUR;
  expect(await retireDue(few.context)).toMatchObject({ retired: 1, lost: [{ nodes: 1 }] });
});

it('one provider that does not answer may have it whole: nothing is given up, and the count begins anew', async () => {
  const { vault, context, time, silent, repair } = await rottenVault();
  await deleteObject(context, 'x');
  for (let attempt = 0; attempt < 30; attempt++) {
    if (attempt === 20) silent.add('p2');
    time.ms += HOUR;
    expect(await retireDue(context)).toMatchObject({ retired: 0 });
  }
  silent.clear();
  for (let attempt = 0; attempt < 20; attempt++) {
    time.ms += HOUR;
    expect(await retireDue(context)).toMatchObject({ retired: 0 });
  }
  repair();
  time.ms += HOUR;
  expect(await retireDue(context)).toMatchObject({ retired: 1, lost: [] });
  expect(await allBlobs(vault)).toEqual([]);
});

it('a retirement stops in the middle when another home has come', async () => {
  const { vault, context, time, repair } = await rottenVault();
  repair();
  const { keys } = context;
  const other = { ...context, engine: createMemoryEngine(), keys: { ...keys } };
  let comes: Promise<unknown> | undefined;
  for (const { adapter } of vault.providers) {
    const inner = adapter.delete;
    Object.assign(adapter, {
      delete: async (...given: Parameters<typeof inner>) => {
        comes ??= putObject(other, noise(10), { name: 'y' }).then(() => generationOf(context).heads());
        await comes;
        return inner(...given);
      },
    });
  }
  const removed = await deleteObject(context, 'x');
  expect(removed).toMatchObject({ postponed: expect.stringMatching(/latest/) });
  expect(await isRetired(context)).toBe(true);
  // Another recovery, and it is finished.
  await recoverVault(context);
  time.ms += HOUR;
  await retireDue(context);
  expect(await isRetired(context)).toBe(false);
});

it('a retirement that was cut off after its packs has usage counted anew when it is finished', async () => {
  const { context, time, repair } = await rottenVault();
  repair();
  const engine = aroundWrites(context.engine, async (write, work) => {
    if (touches(write, 'manifest_usage')) throw new Error('the process is gone');
    return work();
  });
  const dying = { ...context, engine };
  await deleteObject({ ...dying, retention: createRetention(dying, 0) }, 'x').catch(() => {});
  const due = (): Promise<unknown> => context.engine.table('upkeep').get('recount');
  expect([await isRetired(context), await due()]).toEqual([true, undefined]);
  for await (const [key] of context.engine.table('journal').entries()) {
    await context.engine.table('journal').delete(key);
  }
  time.ms += HOUR;
  expect(await retireDue(context)).toMatchObject({ retired: 1 });
  expect(await due()).toBeDefined();
});
