import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { systemClock } from '../../src/core/clock.ts';
import { entryOf } from '../../src/core/maps.ts';
import type { PackRecord } from '../../src/manifest/segment.ts';
import { locate, type SegmentView } from '../../src/object/places.ts';
import { relocate, tangledShards } from '../../src/object/relocations.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { endDeadMoves } from '../../src/records/dead-moves.ts';
import { intendPacks, recordMove } from '../../src/records/moves.ts';
import { tellOfAllMoves } from '../../src/records/relocation-slots.ts';
import { storedRelocations } from '../../src/records/relocations.ts';
import { leaseSegment, releaseSegment } from '../../src/records/repair-leases.ts';
import { keysIn, rowsOf, type StoredSegment, segmentsNow } from '../helpers/moving.ts';
import { noise, testVault } from '../helpers/vault.ts';

const RUNS = process.env.SLOW === '1' ? 60 : 3;
const MOVES = 40;

const moves = fc.array(
  fc.record({
    /** Which shards, and to which of the providers each. */
    shards: fc.uniqueArray(fc.nat({ max: 71 }), { minLength: 1, maxLength: 12 }),
    providers: fc.array(fc.nat({ max: 8 }), { minLength: 12, maxLength: 12 }),
    backMs: fc.constantFrom(0, 0, 5_000),
  }),
  { minLength: MOVES / 2, maxLength: MOVES, size: 'max' },
);

let packs = 0;
const freshAddress = (): BlobAddress =>
  addressOf(new Uint8Array(new BigUint64Array([BigInt(++packs), 7n, 7n, 7n]).buffer));

const placeAt = ({ code }: SegmentView, view: SegmentView, at: number): PackRecord =>
  locate(view, Math.floor(at / code.totalShards), at % code.totalShards).pack;

const keyOf = ({ provider, address }: PackRecord): string => `${provider}/${address}`;

interface Step {
  readonly shards: readonly number[];
  readonly providers: readonly number[];
  readonly backMs: number;
}

/** Moves shards without their bytes: only what is recorded is looked at. */
async function moveTo(context: VaultContext, at: StoredSegment, targets: ReadonlyMap<number, string>) {
  const { view } = at;
  const lease = await leaseSegment(context, at.segment);
  const byProvider = new Map<string, number[]>();
  for (const [shard, provider] of targets) entryOf(byProvider, provider, () => []).push(shard);
  const moved = [...byProvider].map(([provider, shards]) => {
    const length = shards.reduce(
      (sum, one) => sum + view.shardLengths[Math.floor(one / view.code.totalShards)]!,
      0,
    );
    return { provider, address: freshAddress(), length, shards: [...shards].sort((a, b) => a - b) };
  });
  const { intents } = await intendPacks(context, at, moved);
  const after = await recordMove(context, {
    at,
    view: { ...view, moved: undefined },
    lease,
    packs: moved,
    intents,
    graceMs: 0,
    also: () => [],
  });
  await releaseSegment(context, lease);
  return { moved, view: relocate({ ...view, moved: undefined }, after) };
}

/** Makes the moves, and compares after each with what a plain map says. */
async function follow(sequence: readonly Step[]): Promise<void> {
  const vault = await testVault({ policy: { replicaBelowBytes: 0 }, chunkBytes: 128 * 1024 });
  const time = { ms: 1_700_000_000_000 };
  const context = { ...vault.context, clock: { ...systemClock, now: () => time.ms } };
  const { manifest } = await putObject(context, noise(300_000), { name: 'x' });
  const [first] = await segmentsNow(context, manifest);
  const count = first!.view.record.places.length;
  const used = (await rowsOf(context, 'manifest_usage'))[manifest]?.bytes as Record<string, number>;
  const total = Object.values(used).reduce((sum, bytes) => sum + bytes, 0);
  /** The slow reference: every shard's pack. */
  const expected = new Map<number, PackRecord>();
  for (let at = 0; at < count; at++) expected.set(at, placeAt(first!.view, first!.view, at));
  for (const { shards, providers, backMs } of sequence) {
    time.ms += 1_000 - backMs;
    const [now] = await segmentsNow(context, manifest);
    const targets = new Map(shards.map((at, i) => [at % count, `p${1 + providers[i]!}`]));
    const { records } = await storedRelocations(context.engine, now!.segment);
    for (const at of tangledShards(now!.view, records))
      if (!targets.has(at)) targets.set(at, placeAt(now!.view, now!.view, at).provider);
    const { moved, view } = await moveTo(context, now!, targets);
    for (const { shards: its, ...pack } of moved) for (const at of its) expected.set(at, pack);
    for (const [at, pack] of expected) expect(keyOf(placeAt(view, view, at))).toBe(keyOf(pack));
  }
  const [end] = await segmentsNow(context, manifest);
  const kept = new Map([...expected.values()].map((pack) => [keyOf(pack), pack]));
  for (const [at, pack] of expected) expect(keyOf(placeAt(end!.view, end!.view, at))).toBe(keyOf(pack));
  expect((await keysIn(context, 'relocations')).length).toBeLessThanOrEqual(16);
  const rows = Object.entries(await rowsOf(context, 'moves'));
  const own = first!.view.record.packs.map(keyOf);
  const inState = (state: string) => rows.filter(([, row]) => row.state === state).map(([key]) => key);
  expect(inState('recorded').sort()).toEqual([...kept.keys()].filter((key) => !own.includes(key)).sort());
  expect(inState('leaving').filter((key) => kept.has(key))).toEqual([]);
  const usage: Record<string, number> = {};
  for (const { provider, length } of kept.values()) usage[provider] = (usage[provider] ?? 0) + length;
  expect((await rowsOf(context, 'manifest_usage'))[manifest]?.bytes).toEqual(usage);
  expect(Object.values(usage).reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThanOrEqual(total);
  // Later than any time that the clock showed before it went back.
  time.ms += 1_000_000;
  await tellOfAllMoves(context);
  await endDeadMoves(context);
  expect((await keysIn(context, 'moves')).sort()).toEqual(inState('recorded').sort());
  for (const key of await keysIn(context, 'trash')) expect(kept.has(key)).toBe(false);
}

test('wherever shards are moved, however often and in parts, they are where they went last', async () => {
  await fc.assert(fc.asyncProperty(moves, follow), { numRuns: RUNS });
}, 120_000);

test('moves that each take one shard of the pack that the one before made never come to an end of the room', async () => {
  await follow(
    Array.from({ length: MOVES }, (_, i) => ({ shards: [i, i + 1], providers: [i % 9, i % 9], backMs: 0 })),
  );
});
