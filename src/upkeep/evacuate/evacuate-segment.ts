import { type AbortOptions, throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { HoldfastError } from '../../core/errors.ts';
import { DamageLog } from '../../object/damage.ts';
import { type PublicManifest, publicSegment } from '../../object/manifest-tree.ts';
import { locate, type SegmentView } from '../../object/places.ts';
import { damageOf, forgetNotes } from '../../records/damage.ts';
import { type SegmentLease, withSegmentLease } from '../../records/repair-leases.ts';
import { mapsOf } from '../../records/shard-index.ts';
import type { MovingContext } from '../context.ts';
import type { Room } from '../repair/at-once.ts';
import { moveShards } from '../repair/move-shards.ts';
import type { RepairPace } from '../repair/pace.ts';
import { candidates, isNoted, mended, noteFound } from '../repair/repair-segment.ts';
import { type Leaving, type NewPlaces, newPlaces } from './new-places.ts';

export interface SegmentToEvacuate extends Leaving {
  readonly object: PublicManifest;
  readonly segment: BlobAddress;
  /** Providers that are gone for good. */
  readonly gone: ReadonlySet<string>;
  /** The provider that is left can be read. */
  readonly isAnswering: boolean;
  readonly pace: RepairPace;
  /** For the chunks that are worked on at once, of all segments together. */
  readonly room: Room;
  readonly graceMs: number;
}

export interface SegmentEvacuated {
  /** That have another place now. */
  readonly shards: number;
  /** Shards that could not be read and were computed. */
  readonly rebuilt: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Why shards are left there; undefined: none are. */
  readonly left: HoldfastError | undefined;
}

/** A provider that cannot take its part is passed over so often. */
const MAX_ROUNDS = 4;

/**
 * Brings the shards that a provider has of a segment to others. Nothing is moved where the segment would survive too few
 * losses then; what is there stays until nobody reads it any more.
 * @throws HoldfastError `Conflict`, code `segment_leased`, while another moves shards of it; `NotFound` when the object was
 * removed; `QuotaExceeded`, code `egress_cap`; what reading the segment's node and the engine throw; `Aborted`.
 */
export async function evacuateSegment(
  context: MovingContext,
  task: SegmentToEvacuate,
  { signal }: AbortOptions = {},
): Promise<SegmentEvacuated> {
  return withSegmentLease(context, task.segment, (lease) => evacuateLeased(context, task, lease, signal));
}

async function evacuateLeased(
  context: MovingContext,
  task: SegmentToEvacuate,
  lease: SegmentLease,
  signal: AbortSignal | undefined,
): Promise<SegmentEvacuated> {
  const { object, segment } = task;
  let view = await publicSegment(context, object, segment, new DamageLog(), signal);
  const sum = { shards: 0, rebuilt: 0, bytesRead: 0, bytesWritten: 0 };
  const refusing = new Set<string>();
  let left: HoldfastError | undefined;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const plan = placesFor(context, task, view, refusing);
    const moves = movesOf(view, plan);
    if (moves.size === 0 && plan.homeless === 0) return { ...sum, left: undefined };
    // What the last round failed with says more than that nobody is left to take it.
    if (!plan.isAllowed) return { ...sum, left: left ?? whyNot(task, plan) };
    const notes = await damageOf(context, segment, { signal });
    const { pace, room, graceMs } = task;
    const request = {
      at: { segment, manifest: object.manifest },
      ...{ lease, record: object.record, view, moves, pace, room, graceMs },
      lost: unreadable(view, task, (pack, at) => notes.some((note) => isNoted(note, pack, at))),
      exempt: plan.before <= 0,
    };
    const moved = await moveShards(context, request, { signal });
    throwIfAborted(signal, 'evacuation');
    view = moved.view;
    sum.bytesRead += moved.bytesRead;
    sum.bytesWritten += moved.bytesWritten;
    sum.shards += moves.size - moved.failed.length;
    sum.rebuilt += moved.rebuilt;
    await forgetNotes(context, mended(view, notes, new Set()));
    await noteFound(context, task, moved);
    left = moved.failed[0]?.error;
    if (left === undefined) return { ...sum, left };
    const before = refusing.size;
    for (const { at, error } of moved.failed) {
      if (error.provider !== undefined && error.provider === moves.get(at)) refusing.add(error.provider);
    }
    if (refusing.size === before) break;
  }
  return { ...sum, left };
}

function placesFor(
  context: MovingContext,
  { object, gone, from, to, minTolerates }: SegmentToEvacuate,
  view: SegmentView,
  refusing: ReadonlySet<string>,
): NewPlaces {
  const providers = candidates(context, { lost: new Set([...gone, ...refusing, from]) });
  const failureDomain = object.record.certificate.domains.level;
  return newPlaces({
    ...{ code: view.code, maps: mapsOf(view), failureDomain, providers, gone },
    from,
    to,
    minTolerates,
  });
}

const movesOf = ({ code }: SegmentView, { moves }: NewPlaces): Map<number, string> =>
  new Map(
    moves.flatMap((its, chunk) => [...its].map(([shard, id]) => [chunk * code.totalShards + shard, id])),
  );

/** Shards that are not to be read where they ought to be. */
function unreadable(
  view: SegmentView,
  { gone, from, isAnswering }: SegmentToEvacuate,
  isDamaged: (pack: Parameters<typeof isNoted>[1], at: number) => boolean,
): Set<number> {
  const { totalShards } = view.code;
  const lost = new Set<number>();
  for (let at = 0; at < view.shardLengths.length * totalShards; at++) {
    const { pack } = locate(view, Math.floor(at / totalShards), at % totalShards);
    const isAway = gone.has(pack.provider) || (pack.provider === from && !isAnswering);
    if (isAway || isDamaged(pack, at)) lost.add(at);
  }
  return lost;
}

function whyNot({ from, to }: SegmentToEvacuate, { before, after, homeless }: NewPlaces): HoldfastError {
  return homeless > 0 ? nobodyTakes(to) : wouldFall(from, before, after);
}

/** @param to the only one that was to take it. */
export const nobodyTakes = (to: string | undefined): HoldfastError =>
  new HoldfastError(
    'Unavailable',
    to === undefined ? 'no other provider takes new shards' : `${to} takes no new shards`,
    {
      code: 'not_enough_providers',
      hint: 'See `holdfast providers` for the state of each; free space, add some or bring some back.',
    },
  );

export const wouldFall = (from: string, before: number, after: number): HoldfastError =>
  new HoldfastError(
    'PermissionDenied',
    `without ${from} it would survive the loss of ${after}, and now it survives that of ${before}`,
    {
      code: 'certificate_shortfall',
      hint: 'Add a provider in its place first; or say with --min-tolerates how many losses are enough.',
    },
  );
