import { expect } from 'vitest';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { endDeadMoves } from '../../src/records/dead-moves.ts';
import { type Intent, intendPacks, recordMove } from '../../src/records/moves.ts';
import { createPlaces } from '../../src/records/places.ts';
import { tellOfAllMoves } from '../../src/records/relocation-slots.ts';
import { leaseSegment, releaseSegment, type SegmentLease } from '../../src/records/repair-leases.ts';
import { emptyTrash } from '../../src/records/trash.ts';
import { verifyObject } from '../../src/upkeep/verify.ts';
import { allBlobs } from './faulty.ts';
import { copyOver, keysIn, packAt, type StoredSegment, segmentsNow, toStore } from './moving.ts';
import { noise, readAll, testVault } from './vault.ts';

const XOR = createLinearCode({ algorithm: 'reed-solomon', dataShards: 2, parityShards: 1 });
const CONTENT = noise(400_000);

/** An object at p1, p2 and p3 of five providers, on a clock that is set by hand. */
export async function world(owner = 'me') {
  const vault = await testVault({ providers: 5, policy: { code: XOR, replicaBelowBytes: 0 } });
  const time = { ms: 1_700_000_000_000 };
  const gone = new Set<string>();
  const context: VaultContext = {
    ...vault.context,
    clock: { ...systemClock, now: () => time.ms },
    owner: async () => owner,
    isGone: async (other) => gone.has(other),
  };
  await createPlaces(context).enter(vault.providers);
  vault.gone.add('p4').add('p5');
  const { manifest } = await putObject(context, CONTENT, { name: 'x' });
  vault.gone.clear();
  const now = async (): Promise<StoredSegment> => (await segmentsNow(context, manifest))[0]!;
  const before = await allBlobs(vault);
  return { vault, context, manifest, time, ownersGone: gone, now, before };
}

type World = Awaited<ReturnType<typeof world>>;

/** Notes that the pack at one provider is to be at another. */
export async function intend(
  { context }: Pick<World, 'context'>,
  at: StoredSegment,
  from: string,
  to: string,
): Promise<Intent> {
  const { intents } = await intendPacks(context, at, [toStore(packAt(at, from), to)]);
  return intents[0]!;
}

export const record = (
  { context }: Pick<World, 'context'>,
  at: StoredSegment,
  lease: SegmentLease,
  intents: readonly Intent[],
  from: string,
) =>
  recordMove(context, {
    at: { segment: at.segment, manifest: at.manifest },
    view: at.view,
    lease,
    intents,
    packs: intents.map(({ pack }) => ({ ...packAt(at, from), provider: pack.provider })),
    graceMs: 60_000,
    also: () => [],
  });

/** The whole of a move: the pack that is at one provider is at another afterwards. */
export async function move(its: World, from: string, to: string): Promise<void> {
  const at = await its.now();
  const lease = await leaseSegment(its.context, at.segment);
  const intent = await intend(its, at, from, to);
  await copyOver(its.context, from, intent);
  await record(its, at, lease, [intent], from);
  await releaseSegment(its.context, lease);
}

/** What a living vault does after operations. */
export async function tidy({ context, time }: World, passMs = 0): Promise<void> {
  time.ms += passMs;
  await tellOfAllMoves(context);
  await endDeadMoves(context);
  await emptyTrash(context, async () => true);
}

export const isWhole = async ({ context }: World): Promise<void> => {
  expect(Buffer.compare(await readAll(await getObject(context, 'x')), CONTENT)).toBe(0);
  expect(await verifyObject(context, 'x')).toMatchObject({ intact: true });
};

export const nothingOpen = async ({ context }: World): Promise<void> => {
  for (const table of ['open_moves', 'repair_leases', 'trash'])
    expect(await keysIn(context, table)).toEqual([]);
};
