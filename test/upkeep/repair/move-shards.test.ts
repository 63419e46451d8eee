import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { secureRandom } from '../../../src/core/random.ts';
import { deriveSubkeys, vaultKeysOf } from '../../../src/keys/derivation.ts';
import type { VaultContext } from '../../../src/pipeline/context.ts';
import { getObject } from '../../../src/pipeline/get/get.ts';
import { putObject } from '../../../src/pipeline/put/put.ts';
import { endDeadMoves } from '../../../src/records/dead-moves.ts';
import { leaseSegment, releaseSegment } from '../../../src/records/repair-leases.ts';
import { emptyTrash } from '../../../src/records/trash.ts';
import { deleteObject } from '../../../src/upkeep/delete.ts';
import { scrubProviders } from '../../../src/upkeep/gc.ts';
import { type Moved, type MoveRequest, moveShards } from '../../../src/upkeep/repair/move-shards.ts';
import type { RepairPace } from '../../../src/upkeep/repair/pace.ts';
import { verifyObject } from '../../../src/upkeep/verify.ts';
import { aroundWrites } from '../../helpers/engine.ts';
import { allBlobs, arenaIsFree } from '../../helpers/faulty.ts';
import {
  keysIn,
  placeNow,
  rowsOf,
  type StoredSegment,
  segmentsNow,
  shardsAt,
  watched,
} from '../../helpers/moving.ts';
import { noise, readAll, type TestVaultOptions, testVault } from '../../helpers/vault.ts';

const NO_PACE: RepairPace = { read: async () => {}, write: async () => {} };
const CONTENT = noise(700_000);

/** An object at p1 to p9 of ten providers, on a clock that is set by hand; p10 has nothing yet. */
async function world(content = CONTENT, options: TestVaultOptions = {}) {
  const watch = watched();
  const vault = await testVault({ providers: 10, chunkBytes: 128 * 1024, wrap: watch.wrap, ...options });
  const time = { ms: 1_700_000_000_000 };
  const dead = new Set<string>();
  const used: Record<string, number> = {};
  const count = (id: string, bytes: number): void => {
    used[id] = (used[id] ?? 0) + bytes;
  };
  const context: VaultContext = {
    ...vault.context,
    clock: { ...systemClock, now: () => time.ms },
    isGone: async (owner) => dead.has(owner),
    directory: {
      ...vault.context.directory,
      report(id, { operation, error, existed, bytes }) {
        if (operation === 'store' && error === undefined && existed !== true) count(id, bytes);
      },
      deleted: (id, bytes) => count(id, -bytes),
    },
  };
  vault.gone.add('p10');
  const { manifest } = await putObject(context, content, { name: 'x' });
  vault.gone.clear();
  const now = (): Promise<StoredSegment[]> => segmentsNow(context, manifest);
  return { vault, watch, context, manifest, content, time, dead, used, now, before: await allBlobs(vault) };
}

type World = Awaited<ReturnType<typeof world>>;

interface Wanted {
  readonly moves: ReadonlyMap<number, string>;
  readonly lost?: ReadonlySet<number>;
}

/** Moves shards of all segments, as repair does: each under its lease. */
async function move(
  { context, now }: Pick<World, 'context' | 'now'>,
  wanted: (segment: StoredSegment) => Wanted,
): Promise<Moved[]> {
  const done: Moved[] = [];
  for (const segment of await now()) {
    const at = { segment: segment.segment, manifest: segment.manifest };
    const lease = await leaseSegment(context, segment.segment);
    try {
      const { record, view } = segment;
      const how = { pace: NO_PACE, exempt: false, window: 4, graceMs: 60_000 };
      const request: MoveRequest = { at, lease, record, view, lost: new Set(), ...how, ...wanted(segment) };
      done.push(await moveShards(context, request));
    } finally {
      await releaseSegment(context, lease);
    }
  }
  return done;
}

/** All that is at one provider goes to another; read there, or not. */
const away =
  (from: string, to: string, isLost = false) =>
  (segment: StoredSegment): Wanted => {
    const its = shardsAt(segment, from);
    return { moves: new Map(its.map((at) => [at, to])), lost: new Set(isLost ? its : []) };
  };

async function tidy({ context, time }: Pick<World, 'context' | 'time'>, passMs = 60_000): Promise<void> {
  time.ms += passMs;
  await endDeadMoves(context);
  await emptyTrash(context, async () => true);
}

/** Reads as its owner does, every shard is where it ought to be, and nothing is left over. */
async function isWhole({ context, content, vault, now, used }: World): Promise<void> {
  expect(Buffer.compare(await readAll(await getObject(context, 'x')), content)).toBe(0);
  expect(await verifyObject(context, 'x')).toMatchObject({ intact: true });
  for (const table of ['open_moves', 'repair_leases', 'trash'])
    expect(await keysIn(context, table)).toEqual([]);
  const scrub = await scrubProviders(context, { minAgeMs: 0, dryRun: true });
  expect(scrub.providers.map(({ orphans }) => orphans)).toEqual(vault.providers.map(() => 0));
  const bytes: Record<string, number> = {};
  for (const segment of await now()) {
    const packs = new Map(
      [...segment.view.record.places.keys()].map((at) => {
        const pack = placeNow(segment, at);
        return [`${pack.provider}/${pack.address}`, pack];
      }),
    );
    for (const { provider, length } of packs.values()) bytes[provider] = (bytes[provider] ?? 0) + length;
  }
  const atAll = Object.entries(used).filter(([, count]) => count !== 0);
  expect(Object.fromEntries(atAll)).toEqual(bytes);
  expect(arenaIsFree(context)).toBe(true);
}

/** Bytes of a pack there are others from now on. */
async function rot({ vault }: World, provider: string, address: string, at: number): Promise<void> {
  const { adapter } = vault.providers.find(({ id }) => id === provider)!;
  const bytes = (await adapter.fetch(address as never)).slice();
  bytes[at]! ^= 1;
  await adapter.delete(address as never);
  await adapter.store(address as never, [bytes]);
}

const sum = (
  moved: readonly Moved[],
  of: 'read' | 'rebuilt' | 'copied' | 'bytesRead' | 'bytesWritten',
): number => moved.reduce((total, one) => total + one[of], 0);

describe('one shard that has rotted', () => {
  it('is rebuilt from the three or four others of its group', async () => {
    const its = await world();
    const [segment] = await its.now();
    const pack = placeNow(segment!, 0);
    await rot(its, pack.provider, pack.address, 5);
    const only = { moves: new Map([[0, pack.provider]]), lost: new Set([0]) };
    its.watch.calls.length = 0;
    const [moved] = await move(its, () => only);
    expect(moved).toMatchObject({ rebuilt: 1, copied: 0, failed: [] });
    expect(moved!.read).toBeGreaterThanOrEqual(3);
    expect(moved!.read).toBeLessThanOrEqual(4);
    expect(its.watch.calls.filter((call) => call.startsWith('fetchRange')).length).toBe(moved!.read);
    await tidy(its);
    await isWhole(its);
  });

  it('is found on the way too, and what is built with it is not believed', async () => {
    const its = await world();
    const [segment] = await its.now();
    const group = placeNow(segment!, 1);
    const lost = placeNow(segment!, 0);
    await rot(its, group.provider, group.address, 0);
    const [moved] = await move(its, () => ({ moves: new Map([[0, lost.provider]]), lost: new Set([0]) }));
    expect(moved).toMatchObject({ rebuilt: 1, failed: [] });
    expect(moved!.damage.map(({ problem }) => problem)).toContain('corrupt');
  });
});

describe('a provider that is lost', () => {
  it.each([
    ['in its root', 1024 * 1024, CONTENT],
    ['in nodes of their own', 64 * 1024, CONTENT],
    ['as copies', 1024 * 1024, noise(1_000)],
  ])('is made up for by another, of an object with segments %s', async (_, packTargetBytes, content) => {
    const its = await world(content, { policy: { packTargetBytes } });
    const [from, lostBytes] = Object.entries(its.used)[0]!;
    its.vault.gone.add(from);
    const moved = await move(its, away(from, 'p10', true));
    expect(moved.flatMap(({ failed }) => failed)).toEqual([]);
    expect(sum(moved, 'bytesWritten')).toBe(lostBytes);
    expect(sum(moved, 'bytesRead')).toBeLessThanOrEqual(8 * lostBytes);
    expect(await verifyObject(its.context, 'x')).toMatchObject({ intact: true });
    its.vault.gone.delete(from);
    await tidy(its);
    await isWhole(its);
    expect((await allBlobs(its.vault)).filter((blob) => blob.startsWith(`${from}/`)).length).toBeLessThan(
      its.before.filter((blob) => blob.startsWith(`${from}/`)).length,
    );
  });

  it('and that comes back without its packs gets them again, as they were, and no relocation is written', async () => {
    const its = await world();
    for (const [segment] of [await its.now()]) {
      const { provider, address } = placeNow(segment!, 0);
      await its.vault.providers.find(({ id }) => id === provider)!.adapter.delete(address);
      const its1 = shardsAt(segment!, provider);
      const [moved] = await move(its, () => ({
        moves: new Map(its1.map((at) => [at, provider])),
        lost: new Set(its1),
      }));
      expect(moved).toMatchObject({ failed: [], rebuilt: its1.length });
    }
    expect(await keysIn(its.context, 'relocations')).toEqual([]);
    expect(await allBlobs(its.vault)).toEqual(its.before);
    await isWhole(its);
  });
});

describe('shards that are moved away and back', () => {
  it('are where they were, under the address that they had', async () => {
    for (const passMs of [0, 60_000]) {
      const its = await world();
      await move(its, away('p3', 'p10'));
      await tidy(its, passMs);
      const moved = await move(its, away('p10', 'p3'));
      expect(sum(moved, 'rebuilt')).toBe(0);
      await tidy(its);
      for (const segment of await its.now()) expect(shardsAt(segment, 'p10')).toEqual([]);
      expect(await allBlobs(its.vault)).toEqual(its.before);
      await isWhole(its);
    }
  });

  it('twenty times are found, and fewer relocations stay than a reader looks at', async () => {
    const its = await world(noise(200_000));
    for (let i = 0; i < 20; i++) {
      const at = i % 27;
      await move(its, () => ({
        moves: new Map([
          [at, `p${1 + ((3 * i) % 10)}`],
          [at + 1, `p${1 + ((3 * i) % 10)}`],
        ]),
      }));
      expect((await keysIn(its.context, 'relocations')).length).toBeLessThanOrEqual(16);
    }
    await tidy(its);
    await isWhole(its);
  });
});

describe('a provider that takes a pack', () => {
  it.each(['drops', 'garbles', 'refuses stores'] as const)(
    'and %s is found out, and nothing is moved there',
    async (how) => {
      const its = await world();
      its.watch.conduct.p10 = how;
      const [segment] = await its.now();
      const mine = shardsAt(segment!, 'p1');
      const [moved] = await move(its, away('p1', 'p10'));
      expect(moved!.failed.map(({ at }) => at)).toEqual(mine);
      expect(moved).toMatchObject({ bytesWritten: 0 });
      expect(await keysIn(its.context, 'relocations')).toEqual([]);
      its.watch.conduct.p10 = 'good';
      await tidy(its);
      expect(await allBlobs(its.vault)).toEqual(its.before);
      await isWhole(its);
    },
  );

  it('and has other bytes there already gets the right ones', async () => {
    const its = await world();
    const [segment] = await its.now();
    const { address, length } = placeNow(segment!, shardsAt(segment!, 'p1')[0]!);
    await its.vault.providers[9]!.adapter.store(address, [noise(length, 7)]);
    its.watch.calls.length = 0;
    const [moved] = await move(its, away('p1', 'p10'));
    expect(moved!.failed).toEqual([]);
    const stores = its.watch.calls.filter((call) => /^(store|replace) /.test(call));
    expect(stores).toEqual([`store p10 ${address}`, `replace p10 ${address}`]);
    await tidy(its);
    await isWhole(its);
  });

  it('and has it whole is not written to, though it is asked for once more', async () => {
    const its = await world();
    const [segment] = await its.now();
    const mine = shardsAt(segment!, 'p1');
    its.watch.calls.length = 0;
    const [moved] = await move(its, () => ({ moves: new Map(mine.map((at) => [at, 'p1'])) }));
    expect(moved!.failed).toEqual([]);
    expect(its.watch.calls.filter((call) => call.startsWith('replace'))).toEqual([]);
    await isWhole(its);
  });

  it('and never answers keeps none of the others from getting theirs', async () => {
    const its = await world();
    its.watch.conduct.p10 = 'hangs on stores';
    const [segment] = await its.now();
    const mine = shardsAt(segment!, 'p1');
    const targets = new Map(mine.map((at, i) => [at, i % 4 === 0 ? 'p10' : `p${2 + (i % 4)}`]));
    const [moved] = await move(its, () => ({ moves: targets }));
    expect(moved!.failed.map(({ at }) => at)).toEqual(mine.filter((_, i) => i % 4 === 0));
    for (const { error } of moved!.failed) expect(error).toMatchObject({ kind: 'Timeout' });
    const [after] = await its.now();
    for (const [at, provider] of targets)
      expect(placeNow(after!, at).provider).toBe(provider === 'p10' ? 'p1' : provider);
    its.watch.conduct.p10 = 'good';
    its.context.directory.heard('p10');
    await tidy(its);
    await isWhole(its);
  });

  it('but only short ones gets several', async () => {
    const its = await world();
    const [segment] = await its.now();
    const most = 2 * segment!.view.shardLengths[0]!;
    const { adapter } = its.vault.providers[9]!;
    Object.assign(adapter, { capabilities: { ...adapter.capabilities, maxBlobBytes: most } });
    const [moved] = await move(its, away('p1', 'p10'));
    expect(moved!.failed).toEqual([]);
    const [after] = await its.now();
    const lengths = shardsAt(after!, 'p10').map((at) => placeNow(after!, at).length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(most);
    await tidy(its);
    await isWhole(its);
  });
});

it('an object that is removed while shards of it are moved is gone, and all that was stored meanwhile', async () => {
  const its = await world();
  let removed: Promise<unknown> | undefined;
  its.watch.before = async (call) => {
    if (call !== 'store' || removed !== undefined) return;
    removed = deleteObject(its.context, 'x');
    await removed;
  };
  await expect(move(its, away('p1', 'p10'))).rejects.toMatchObject({ kind: 'NotFound' });
  its.watch.before = () => {};
  await tidy(its);
  expect(await allBlobs(its.vault)).toEqual([]);
  for (const table of ['moves', 'relocations', 'open_moves', 'repair_leases', 'trash', 'damage'])
    expect(await keysIn(its.context, table)).toEqual([]);
});

it('of two workers at one segment the one whose lease was taken over changes nothing', async () => {
  const its = await world();
  const second = { ...its, context: { ...its.context, owner: async () => 'second' } };
  const first = { ...its, context: { ...its.context, owner: async () => 'first' } };
  let isTaken = false;
  its.watch.before = async (call) => {
    if (call !== 'store' || isTaken) return;
    isTaken = true;
    its.dead.add('first');
    await move(second, away('p1', 'p10'));
  };
  await expect(move(first, away('p1', 'p2'))).rejects.toMatchObject({ code: 'segment_leased' });
  its.watch.before = () => {};
  const [segment] = await its.now();
  expect(shardsAt(segment!, 'p1')).toEqual([]);
  expect(shardsAt(segment!, 'p10').length).toBeGreaterThan(0);
  await tidy(its);
  await isWhole(its);
});

/** Every call to a provider, and every write, is one at which the worker may die. */
describe('a worker that is killed', () => {
  const killed = async (
    wanted: (its: World) => Promise<(segment: StoredSegment) => Wanted>,
  ): Promise<number> => {
    for (let left = 0; ; left++) {
      const its = await world(noise(200_000));
      const goal = await wanted(its);
      let calls = 0;
      let isDead = false;
      const step = (): void => {
        if (isDead || calls++ === left) {
          isDead = true;
          throw new Error('killed');
        }
      };
      const engine = aroundWrites(its.context.engine, async (_, work) => {
        step();
        return work();
      });
      its.watch.before = step;
      const context = { ...its.context, engine, owner: async () => 'worker' };
      const ended = await move({ context, now: its.now }, goal).then(
        () => true,
        () => false,
      );
      its.watch.before = () => {};
      if (ended) {
        await tidy(its);
        await isWhole(its);
        return left;
      }
      its.dead.add('worker');
      await tidy(its);
      expect(Buffer.compare(await readAll(await getObject(its.context, 'x')), its.content)).toBe(0);
      await move(its, goal);
      await tidy(its);
      await tidy(its);
      for (const segment of await its.now()) {
        for (const [at, provider] of goal(segment).moves)
          expect(placeNow(segment, at).provider).toBe(provider);
      }
      expect(await keysIn(its.context, 'open_moves')).toEqual([]);
      expect(await verifyObject(its.context, 'x')).toMatchObject({ intact: true });
      const scrub = await scrubProviders(its.context, { minAgeMs: 0, dryRun: true });
      expect(Math.max(...scrub.providers.map(({ orphans }) => orphans))).toBe(0);
    }
  };

  it('at any step of an evacuation leaves the old or the new, and nothing else', async () => {
    expect(await killed(async () => away('p1', 'p10'))).toBeGreaterThan(5);
  }, 60_000);

  it('at any step of storing a pack anew leaves what can be done again, and nothing else', async () => {
    const steps = await killed(async (its) => {
      const [segment] = await its.now();
      const { provider, address } = placeNow(segment!, 0);
      await its.vault.providers.find(({ id }) => id === provider)!.adapter.delete(address);
      const mine = shardsAt(segment!, provider);
      return () => ({ moves: new Map(mine.map((at) => [at, provider])), lost: new Set(mine) });
    });
    expect(steps).toBeGreaterThan(5);
  }, 60_000);
});

it('no key is needed', async () => {
  const its = await world();
  const keys = vaultKeysOf(deriveSubkeys(secureRandom(32)));
  const context = { ...its.context, keys };
  const [segment] = await its.now();
  const lost = shardsAt(segment!, 'p1');
  its.vault.gone.add('p1');
  const now = () => segmentsNow(context, its.manifest);
  const moved = await move({ context, now }, away('p1', 'p10', true));
  expect(moved).toMatchObject([{ failed: [], rebuilt: lost.length }]);
  its.vault.gone.clear();
  await tidy(its);
  await isWhole(its);
});

/** What becomes of an object, at random. */
const fates = fc.array(
  fc.record({
    /** All packs there are deleted first, and what was in them is rebuilt, there or elsewhere. */
    lost: fc.option(fc.nat({ max: 9 }), { nil: undefined }),
    /** These go to the providers beside them. */
    moves: fc.array(fc.tuple(fc.nat({ max: 80 }), fc.nat({ max: 9 })), { maxLength: 20 }),
    passMs: fc.constantFrom(0, 1_000, 60_000),
  }),
  { minLength: 3, maxLength: 8, size: 'max' },
);

it('whatever is lost and moved, every shard is where a plain map says, and nothing else is', async () => {
  const idOf = (nth: number): string => `p${nth + 1}`;
  const follow = async (sequence: typeof fates extends fc.Arbitrary<infer T> ? T : never): Promise<void> => {
    const its = await world(noise(200_000));
    const [first] = await its.now();
    const expected = new Map<number, string>();
    for (const at of first!.view.record.places.keys()) expected.set(at, placeNow(first!, at).provider);
    for (const { lost: nth, moves, passMs } of sequence) {
      const [segment] = await its.now();
      const lost = nth === undefined ? [] : shardsAt(segment!, idOf(nth));
      const { adapter } = its.vault.providers[nth ?? 0]!;
      for (const at of lost) await adapter.delete(placeNow(segment!, at).address);
      const targets = new Map(lost.map((at) => [at, idOf(nth!)]));
      for (const [shard, provider] of moves) targets.set(shard % expected.size, idOf(provider));
      const moved = await move(its, () => ({ moves: targets, lost: new Set(lost) }));
      // Of a provider with too much of the object not all can be had again.
      const failed = new Set(moved.flatMap((one) => one.failed.map(({ at }) => at)));
      if (failed.size > 0) return;
      for (const [at, provider] of targets) expected.set(at, provider);
      await tidy(its, passMs);
      const [after] = await its.now();
      for (const [at, provider] of expected) expect(placeNow(after!, at).provider).toBe(provider);
    }
    await tidy(its);
    await tidy(its);
    await isWhole(its);
  };
  await fc.assert(fc.asyncProperty(fates, follow), { numRuns: process.env.SLOW === '1' ? 100 : 4 });
}, 120_000);

it('what is recorded of the index is what a segment is placed like then', async () => {
  const its = await world();
  await move(its, away('p1', 'p10'));
  const rows = await keysIn(its.context, 'shard_index');
  expect(rows.length).toBe((await its.now()).length);
  expect(await rowsOf(its.context, 'manifest_usage')).toMatchObject({
    [its.manifest]: { bytes: { p10: its.used.p1 } },
  });
});
