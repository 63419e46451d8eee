import { expect, it } from 'vitest';
import { createLinearCode } from '../../../src/coding/erasure/code.ts';
import type { BlobAddress } from '../../../src/core/address.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { isHoldfastError } from '../../../src/core/errors.ts';
import type { Engine, Table } from '../../../src/engine/engine.ts';
import type { VaultContext } from '../../../src/pipeline/context.ts';
import { getObject } from '../../../src/pipeline/get/get.ts';
import { putObject } from '../../../src/pipeline/put/put.ts';
import { endDeadMoves } from '../../../src/records/dead-moves.ts';
import { createPlaces } from '../../../src/records/places.ts';
import { tellOfAllMoves } from '../../../src/records/relocation-slots.ts';
import { leaseSegment, releaseSegment } from '../../../src/records/repair-leases.ts';
import { emptyTrash } from '../../../src/records/trash.ts';
import { deleteObject } from '../../../src/upkeep/delete.ts';
import { scrubProviders } from '../../../src/upkeep/gc.ts';
import { Room } from '../../../src/upkeep/repair/at-once.ts';
import { moveShards } from '../../../src/upkeep/repair/move-shards.ts';
import { createRetention } from '../../../src/upkeep/retention.ts';
import { verifyObject } from '../../../src/upkeep/verify.ts';
import { allBlobs } from '../../helpers/faulty.ts';
import { keysIn, segmentsNow, shardsAt } from '../../helpers/moving.ts';
import { noise, readAll, testVault } from '../../helpers/vault.ts';

const SEEDS = process.env.SLOW === '1' ? 200 : 4;
const IDS = ['p1', 'p2', 'p3', 'p4', 'p5', 'p6'];
const XOR = createLinearCode({ algorithm: 'reed-solomon', dataShards: 2, parityShards: 1 });

/** Whole numbers from 0 on, below `n`, the same for the same seed. */
function chance(seed: number): (n: number) => number {
  let state = seed * 2_654_435_761;
  return (n) => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 374_761_393) | 0;
    return ((state ^ (state >>> 13)) >>> 0) % n;
  };
}

/** The same engine; before and after each call others come. */
function interleaved(engine: Engine, pick: (n: number) => number): Engine {
  const others = async (): Promise<void> => {
    for (let left = pick(4); left > 0; left--) await new Promise((resolve) => setImmediate(resolve));
  };
  const between = async <T>(work: () => Promise<T>): Promise<T> => {
    await others();
    const done = await work();
    await others();
    return done;
  };
  const table = (name: string): Table => {
    const inner = engine.table(name);
    return {
      get: (...given) => between(() => inner.get(...given)),
      put: (...given) => between(() => inner.put(...given)),
      delete: (...given) => between(() => inner.delete(...given)),
      compareAndSet: (...given) => between(() => inner.compareAndSet(...given)),
      async *entries(options) {
        for await (const entry of inner.entries(options)) {
          await others();
          yield entry;
        }
      },
    };
  };
  return {
    name: engine.name,
    table,
    batch: (...given) => between(() => engine.batch(...given)),
    revision: () => engine.revision(),
    close: () => engine.close(),
  };
}

async function world(seed: number) {
  const pick = chance(seed);
  const vault = await testVault({ providers: IDS.length, policy: { code: XOR, replicaBelowBytes: 0 } });
  const time = { ms: 1_700_000_000_000 };
  const dead = new Set<string>();
  const plain: VaultContext = {
    ...vault.context,
    clock: { ...systemClock, now: () => time.ms },
    isGone: async (owner) => dead.has(owner),
    places: createPlaces(vault.context),
  };
  const objects = new Map<BlobAddress, { readonly name: string; readonly content: Uint8Array }>();
  for (let i = 0; i < 3; i++) {
    const content = noise(60_000, seed + i + 1);
    const { manifest } = await putObject(plain, content, { name: `x${i}` });
    objects.set(manifest, { name: `x${i}`, content });
  }
  const engine = interleaved(plain.engine, pick);
  const worker = (owner: string): VaultContext => {
    const context = { ...plain, engine, owner: async () => owner };
    return { ...context, retention: createRetention(context, 0) };
  };
  return { vault, plain, pick, time, dead, objects, worker };
}

type World = Awaited<ReturnType<typeof world>>;

/** Moves what one provider has of some object to another, or stores it anew where it is. */
async function moveSome({ worker, pick, objects }: World, owner: string): Promise<void> {
  const context = worker(owner);
  const manifests = [...objects.keys()];
  const manifest = manifests[pick(manifests.length)]!;
  const [from, to] = [IDS[pick(IDS.length)]!, IDS[pick(IDS.length)]!];
  const [first] = await segmentsNow(context, manifest);
  const lease = await leaseSegment(context, first!.segment);
  try {
    const [segment] = await segmentsNow(context, manifest);
    const { segment: key, record, view } = segment!;
    const moves = new Map(shardsAt(segment!, from).map((at) => [at, to]));
    const nothing = async (): Promise<void> => {};
    const pace = { read: nothing, reserve: async () => () => {}, store: nothing, check: nothing };
    const how = {
      lease,
      record,
      view,
      moves,
      lost: new Set<number>(),
      pace,
      exempt: false,
      room: new Room(2),
      graceMs: 0,
    };
    await moveShards(context, { at: { segment: key, manifest }, ...how });
  } finally {
    await releaseSegment(context, lease);
  }
}

/** That another was first, or removed the object, is no fault. */
const unlessOvertaken = (error: unknown): void => {
  if (isHoldfastError(error, 'Conflict') || isHoldfastError(error, 'NotFound')) return;
  throw error;
};

async function tidy({ worker, time, vault }: World, owner: string): Promise<void> {
  time.ms += 60_000;
  for (const id of IDS) vault.context.directory.heard(id);
  await tellOfAllMoves(worker(owner));
  await endDeadMoves(worker(owner));
  await emptyTrash(worker(owner), async () => true);
}

const times = async (count: number, work: () => Promise<void>): Promise<void> => {
  for (let i = 0; i < count; i++) await work().catch(unlessOvertaken);
};

it.each(Array.from({ length: SEEDS }, (_, seed) => seed))(
  'moves, removals, a scrub and housekeeping at once leave every object whole and nothing else: %i',
  async (seed) => {
    const its = await world(seed);
    const { worker, objects, plain, vault, pick } = its;
    const removed = [...objects][0]!;
    await Promise.all([
      times(6, () => moveSome(its, 'first')),
      times(6, () => moveSome(its, 'second')),
      times(3, async () => void (await scrubProviders(worker('scrub'), { minAgeMs: 0 }))),
      times(4, () => tidy(its, 'tidy')),
      (async () => {
        for (let left = pick(60); left > 0; left--) await new Promise((resolve) => setImmediate(resolve));
        await deleteObject(worker('remover'), removed[1].name);
      })(),
    ]);
    objects.delete(removed[0]);
    for (const owner of ['first', 'second']) its.dead.add(owner);
    for (let i = 0; i < 8; i++) await tidy(its, 'tidy');
    for (const { name, content } of objects.values()) {
      expect(Buffer.compare(await readAll(await getObject(plain, name)), content)).toBe(0);
      expect(await verifyObject(plain, name)).toMatchObject({ intact: true });
    }
    for (const table of ['open_moves', 'repair_leases', 'trash'])
      expect(await keysIn(plain, table)).toEqual([]);
    const { providers } = await scrubProviders(plain, { minAgeMs: 0, dryRun: true });
    expect(Math.max(...providers.map(({ orphans }) => orphans))).toBe(0);
    for (const [manifest] of objects) await deleteObject(plain, manifest);
    for (let i = 0; i < 3; i++) await tidy(its, 'tidy');
    expect(await allBlobs(vault)).toEqual([]);
    for (const table of ['moves', 'relocations', 'open_moves', 'trash'])
      expect(await keysIn(plain, table)).toEqual([]);
  },
  30_000,
);
