import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createMemoryEngine } from '../../src/engine/index.ts';
import {
  type DamageNote,
  damagedSegments,
  damageOf,
  type FoundDamage,
  forgetDamage,
  forgetNotes,
  isNodeNote,
  noteDamage,
} from '../../src/records/damage.ts';
import { testVault } from '../helpers/vault.ts';

const address = (n: number): BlobAddress => addressOf(new Uint8Array(32).fill(n));
const [segment, pack, manifest] = [address(1), address(2), address(5)];
const found = (more: Partial<FoundDamage> = {}): FoundDamage => ({
  segment,
  manifest,
  provider: 'p1',
  pack,
  problem: 'corrupt',
  foundBy: 'audit',
  ...more,
});

async function noting(nowMs = 1_000) {
  const { context } = await testVault({ engine: createMemoryEngine(), providers: 1 });
  const time = { nowMs };
  const clock = { ...systemClock, now: () => time.nowMs };
  return { context: { ...context, clock }, time };
}

async function collect(context: Parameters<typeof damagedSegments>[0]): Promise<DamageNote[]> {
  const notes: DamageNote[] = [];
  for await (const one of damagedSegments(context)) notes.push(...one.notes);
  return notes;
}

it('rows are written, and read, as the format page has them', async () => {
  const file = readFileSync(new URL('../vectors/damage-v1.json', import.meta.url), 'utf8');
  const { rows }: { rows: { key: string; value: string; note: DamageNote }[] } = JSON.parse(file);
  const { context } = await noting(1_700_000_000_000);
  await noteDamage(
    context,
    rows.map(({ note }) => note),
  );
  const written: [string, string][] = [];
  for await (const [key, value] of context.engine.table('damage').entries())
    written.push([key, Buffer.from(value).toString()]);
  expect(written).toEqual(rows.map(({ key, value }) => [key, value]));
  expect(await collect(context)).toEqual(rows.map(({ note }) => note));
  expect(rows.map(({ note }) => isNodeNote(note))).toEqual([false, false, true]);
});

it('a finding is added to what is noted: shards unite, the first time and the latest problem stand', async () => {
  const { context, time } = await noting();
  await noteDamage(context, [found({ shards: [7, 9] }), found({ shards: [3] })]);
  time.nowMs = 2_000;
  await noteDamage(context, [found({ shards: [7], foundBy: 'read' })]);
  expect(await damageOf(context, segment)).toEqual([
    { ...found({ shards: [3, 7, 9], foundBy: 'read' }), sinceMs: 1_000 },
  ]);
  await noteDamage(context, [found({ problem: 'missing' })]);
  await noteDamage(context, [found({ shards: [1] })]);
  expect(await damageOf(context, segment)).toMatchObject([{ problem: 'corrupt', shards: undefined }]);
});

it('a finding that is all that is wrong with its blob replaces the note', async () => {
  const { context } = await noting();
  await noteDamage(context, [found()]);
  await noteDamage(context, [found({ shards: [1] })], { whole: true });
  expect(await damageOf(context, segment)).toMatchObject([{ shards: [1] }]);
});

it('of more shards than a row lists the whole pack is noted', async () => {
  const { context } = await noting();
  await noteDamage(context, [found({ shards: Array.from({ length: 1_025 }, (_, i) => i) })]);
  expect((await damageOf(context, segment))[0]!.shards).toBeUndefined();
});

it('what several find at once of one pack is all noted', async () => {
  const { context } = await noting();
  const one = (at: number) => noteDamage(context, [found({ shards: [at] })]);
  await Promise.all([0, 1, 2, 3].map(one));
  expect((await damageOf(context, segment))[0]!.shards).toEqual([0, 1, 2, 3]);
});

it('what is mended goes, what is deleted goes with all its rows, and others stay', async () => {
  const { context } = await noting();
  const other = address(3);
  await noteDamage(context, [found(), found({ provider: 'p2' }), found({ segment: other })]);
  const [mended] = await damageOf(context, segment);
  await forgetNotes(context, [mended!]);
  expect((await collect(context)).map(({ provider }) => provider)).toEqual(['p2', 'p1']);
  await forgetDamage(context, [segment, address(9)]);
  expect((await collect(context)).map((note) => note.segment)).toEqual([other]);
});

it('a note to which something was added since it was read is not forgotten with what was mended', async () => {
  const { context } = await noting();
  await noteDamage(context, [found({ shards: [3] })]);
  const read = await damageOf(context, segment);
  await noteDamage(context, [found({ shards: [5] })]);
  await forgetNotes(context, read);
  expect((await collect(context)).map(({ shards }) => shards)).toEqual([[3, 5]]);
  await forgetNotes(context, await damageOf(context, segment));
  expect(await collect(context)).toEqual([]);
});

it('a row that cannot be read is passed over, and written over', async () => {
  const { context } = await noting();
  const key = `${segment}/p1/${pack}`;
  for (const row of [
    '{',
    '{"v":2}',
    '{"v":1,"manifest":"x","problem":"missing","since":1,"found_by":"scrub"}',
  ]) {
    await context.engine.table('damage').put(key, Buffer.from(row));
    expect(await damageOf(context, segment)).toEqual([]);
    expect(await collect(context)).toEqual([]);
    await noteDamage(context, [found()]);
    expect(await damageOf(context, segment)).toHaveLength(1);
  }
});

it('a full table takes no more rows, counts them, and has room again once some were mended', async () => {
  const { context } = await noting();
  const time = { ms: 0 };
  const clocked = { ...context, clock: { ...context.clock, monotonic: () => time.ms } };
  const hex = (i: number) => `b3:${String(i).padStart(64, '0')}` as BlobAddress;
  const at = (i: number) => found({ segment: hex(i), pack: hex(i + 1) });
  const row = Buffer.from(
    `{"v":1,"manifest":"${manifest}","problem":"missing","since":1,"found_by":"scrub"}`,
  );
  for (let from = 0; from < 99_999; from += 4_000) {
    const some = Array.from({ length: Math.min(4_000, 99_999 - from) }, (_, i) => from + i);
    await context.engine.batch(
      some.map((i) => ({ table: 'damage', key: `${hex(i)}/p1/${hex(i + 1)}`, value: row })),
    );
  }
  const late = [at(200_001), at(200_002)];
  expect(await noteDamage(clocked, late)).toEqual({ unnoted: 1 });
  // What is noted already may still change.
  expect(await noteDamage(clocked, [found({ ...at(0), problem: 'missing' })])).toEqual({ unnoted: 0 });
  await forgetNotes(context, await damageOf(context, at(5).segment));
  expect(await noteDamage(clocked, late)).toEqual({ unnoted: 1 });
  time.ms = 60_000;
  expect(await noteDamage(clocked, late)).toEqual({ unnoted: 0 });
});
