import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import type { ScrubResult } from '../../src/upkeep/scrub/scrub.ts';
import { nextPart } from '../../src/upkeep/scrub/state.ts';
import { filled, notesOf, plant, scrub, told } from '../helpers/scrubbing.ts';
import { noise, testVault } from '../helpers/vault.ts';

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
