import { type AbortOptions, throwIfAborted } from '../../core/abort.ts';
import { DamageLog } from '../../object/damage.ts';
import { publicSegment } from '../../object/manifest-tree.ts';
import { damageOf, forgetNotes } from '../../records/damage.ts';
import { type SegmentLease, withSegmentLease } from '../../records/repair-leases.ts';
import { mapsOf } from '../../records/shard-index.ts';
import type { MovingContext } from '../context.ts';
import { improve } from './improve.ts';
import { moveShards } from './move-shards.ts';
import {
  type ChunkOutcome,
  candidates,
  chunkAt,
  mended,
  noteFound,
  outcomesOf,
  type SegmentRepaired,
  type SegmentToRepair,
  waitingOf,
} from './repair-segment.ts';

/** Shards are moved a few of each chunk at once. */
const MAX_ROUNDS = 16;

/**
 * Brings shards of a segment of which nothing is lost to where it survives what was certified, or more than now. Nothing that
 * is there is deleted before.
 * @throws HoldfastError what {@link repairSegment} throws.
 */
export async function improveSegment(
  context: MovingContext,
  task: SegmentToRepair,
  { signal }: AbortOptions = {},
): Promise<SegmentRepaired> {
  return withSegmentLease(context, task.segment, (lease) => improveLeased(context, task, lease, signal));
}

async function improveLeased(
  context: MovingContext,
  task: SegmentToRepair,
  lease: SegmentLease,
  signal: AbortSignal | undefined,
): Promise<SegmentRepaired> {
  const { object, segment, lost, pace, room, graceMs } = task;
  const { level: failureDomain } = object.record.certificate.domains;
  let view = await publicSegment(context, object, segment, new DamageLog(), signal);
  const chunks = new Map<number, ChunkOutcome>();
  const sum = { bytesRead: 0, bytesWritten: 0, tolerates: -1 };
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const plan = await improve(
      {
        ...{ code: view.code, failureDomain, maps: mapsOf(view), providers: candidates(context, { lost }) },
        goal: object.record.certificate.tolerates,
      },
      () => context.clock.sleep(0, signal),
    );
    sum.tolerates = plan.before;
    const waiting = await waitingOf(view, new Set(plan.moves.keys()), task);
    const moves = new Map([...plan.moves].filter(([at]) => !waiting.has(chunkAt(view, at))));
    if (round === 0)
      for (const [chunk, missing] of waiting)
        chunks.set(chunk, { chunk, missing, status: 'skipped', bytes: 0 });
    if (moves.size === 0) break;
    const notes = await damageOf(context, segment, { signal });
    const request = {
      at: { segment, manifest: object.manifest },
      ...{ lease, record: object.record, view, moves, lost: new Set<number>(), pace, room, graceMs },
      // Nothing is lost: it may wait for another day.
      exempt: false,
    };
    const done = await moveShards(context, request, { signal });
    throwIfAborted(signal, 'repair');
    for (const one of outcomesOf(view, new Set(moves.keys()), { hopeless: [], homeless: [] }, done)) {
      const { missing = 0, bytes = 0 } = chunks.get(one.chunk) ?? {};
      chunks.set(one.chunk, { ...one, missing: one.missing + missing, bytes: one.bytes + bytes });
    }
    sum.bytesRead += done.bytesRead;
    sum.bytesWritten += done.bytesWritten;
    view = done.view;
    await forgetNotes(context, mended(view, notes, new Set()));
    await noteFound(context, task, done);
    if (done.failed.length > 0) break;
  }
  return { chunks: [...chunks.values()], ...sum };
}
