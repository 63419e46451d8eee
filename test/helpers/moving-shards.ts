import { expect } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { endDeadMoves } from '../../src/records/dead-moves.ts';
import { tellOfAllMoves } from '../../src/records/relocation-slots.ts';
import { leaseSegment, releaseSegment } from '../../src/records/repair-leases.ts';
import { emptyTrash } from '../../src/records/trash.ts';
import { scrubProviders } from '../../src/upkeep/gc.ts';
import { Room } from '../../src/upkeep/repair/at-once.ts';
import { type Moved, type MoveRequest, moveShards } from '../../src/upkeep/repair/move-shards.ts';
import type { RepairPace } from '../../src/upkeep/repair/pace.ts';
import { verifyObject } from '../../src/upkeep/verify.ts';
import { allBlobs, arenaIsFree } from './faulty.ts';
import { keysIn, placeNow, type StoredSegment, segmentsNow, shardsAt, watched } from './moving.ts';
import { noise, readAll, type TestVaultOptions, testVault } from './vault.ts';

const NO_PACE: RepairPace = {
  read: async () => {},
  reserve: async () => () => {},
  store: async () => {},
  check: async () => {},
};
export const CONTENT = noise(700_000);

/** An object at p1 to p9 of ten providers, on a clock that is set by hand; p10 has nothing yet. */
export async function world(content = CONTENT, options: TestVaultOptions = {}) {
  const watch = watched();
  const vault = await testVault({ providers: 10, chunkBytes: 128 * 1024, wrap: watch.wrap, ...options });
  const time = { ms: 1_700_000_000_000 };
  const dead = new Set<string>();
  const used: Record<string, number> = {};
  /** Whom something that went wrong was held against. */
  const blamed: string[] = [];
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
        if (error !== undefined) blamed.push(id);
      },
      deleted: (id, bytes) => count(id, -bytes),
    },
  };
  vault.gone.add('p10');
  const { manifest } = await putObject(context, content, { name: 'x' });
  vault.gone.clear();
  const now = (): Promise<StoredSegment[]> => segmentsNow(context, manifest);
  return {
    vault,
    watch,
    context,
    manifest,
    content,
    time,
    dead,
    used,
    blamed,
    now,
    before: await allBlobs(vault),
  };
}

export type World = Awaited<ReturnType<typeof world>>;

export interface Wanted {
  readonly moves: ReadonlyMap<number, string>;
  readonly lost?: ReadonlySet<number>;
}

/** Moves shards of all segments, as repair does: each under its lease. */
export async function move(
  { context, now }: Pick<World, 'context' | 'now'>,
  wanted: (segment: StoredSegment) => Wanted,
  pace: Partial<RepairPace> = {},
): Promise<Moved[]> {
  const done: Moved[] = [];
  for (const segment of await now()) {
    const at = { segment: segment.segment, manifest: segment.manifest };
    const lease = await leaseSegment(context, segment.segment);
    try {
      const { record, view } = segment;
      const how = { pace: { ...NO_PACE, ...pace }, exempt: false, room: new Room(4), graceMs: 60_000 };
      const request: MoveRequest = { at, lease, record, view, lost: new Set(), ...how, ...wanted(segment) };
      done.push(await moveShards(context, request));
    } finally {
      await releaseSegment(context, lease);
    }
  }
  return done;
}

/** All that is at one provider goes to another; read there, or not. */
export const away =
  (from: string, to: string, isLost = false) =>
  (segment: StoredSegment): Wanted => {
    const its = shardsAt(segment, from);
    return { moves: new Map(its.map((at) => [at, to])), lost: new Set(isLost ? its : []) };
  };

export async function tidy(
  { context, time }: Pick<World, 'context' | 'time'>,
  passMs = 60_000,
): Promise<void> {
  time.ms += passMs;
  await tellOfAllMoves(context);
  await endDeadMoves(context);
  await emptyTrash(context, async () => true);
}

/** Reads as its owner does, every shard is where it ought to be, and nothing is left over. */
export async function isWhole({ context, content, vault, now, used }: World): Promise<void> {
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
