import { type AbortOptions, throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { HoldfastError } from '../../core/errors.ts';
import { entryOf } from '../../core/maps.ts';
import type { PackRecord } from '../../manifest/segment.ts';
import { DamageLog } from '../../object/damage.ts';
import { type PublicManifest, publicSegment } from '../../object/manifest-tree.ts';
import { locate, type SegmentView } from '../../object/places.ts';
import type { PlacementProvider } from '../../placement/domains.ts';
import {
  type DamageNote,
  damageOf,
  type FoundDamage,
  forgetNotes,
  noteDamage,
} from '../../records/damage.ts';
import { type SegmentLease, withSegmentLease } from '../../records/repair-leases.ts';
import type { MovingContext } from '../context.ts';
import type { Room } from './at-once.ts';
import { type Moved, moveShards } from './move-shards.ts';
import type { RepairPace } from './pace.ts';
import { planRepair, type RepairOfSegment } from './plan.ts';
import type { RepairStatus } from './repair-log.ts';

export interface SegmentToRepair {
  readonly object: PublicManifest;
  readonly segment: BlobAddress;
  /** Providers that are gone for good. */
  readonly lost: ReadonlySet<string>;
  /** Whether a chunk of the object has to wait. */
  readonly waits: (chunk: number) => Promise<boolean>;
  /** Leaves all other chunks of the object alone. */
  readonly only?: number | undefined;
  /** Rewrites every shard, lost or not, but for those at providers that take none now. */
  readonly all?: boolean | undefined;
  readonly pace: RepairPace;
  /** For the chunks that are worked on at once, of all segments together. */
  readonly room: Room;
  readonly graceMs: number;
}

/** How it went for one chunk. */
export interface ChunkOutcome {
  /** Of the object. */
  readonly chunk: number;
  /** `skipped`: it has to wait, for its turn or for a provider's cap. `fatal`: too little is left of it. */
  readonly status: RepairStatus;
  /** Shards that were lost, or that were to be rewritten. */
  readonly missing: number;
  /** Bytes of shards that were written. */
  readonly bytes: number;
  readonly error?: HoldfastError | undefined;
}

export interface SegmentRepaired {
  /** Of those chunks that had lost something. */
  readonly chunks: readonly ChunkOutcome[];
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Losses that it survives now, as far as is known without reading its shards. −1: a chunk is lost. */
  readonly tolerates: number;
}

/**
 * Rebuilds what a segment has lost, and puts it where the segment then survives most. Nothing that is there is deleted before.
 * @throws HoldfastError `Conflict`, code `segment_leased`, while another repairs it; `NotFound` when the object was removed;
 * `QuotaExceeded`, code `egress_cap`; what reading the segment's node and the engine throw; `Aborted`.
 */
export async function repairSegment(
  context: MovingContext,
  task: SegmentToRepair,
  { signal }: AbortOptions = {},
): Promise<SegmentRepaired> {
  return withSegmentLease(context, task.segment, (lease) => repairLeased(context, task, lease, signal));
}

async function repairLeased(
  context: MovingContext,
  task: SegmentToRepair,
  lease: SegmentLease,
  signal: AbortSignal | undefined,
): Promise<SegmentRepaired> {
  const { object, segment } = task;
  const view = await publicSegment(context, object, segment, new DamageLog(), signal);
  const notes = await damageOf(context, segment, { signal });
  const all = lostShards(view, task, notes);
  const waiting = await waitingOf(view, all, task);
  const lost = new Set([...all].filter((at) => !waiting.has(chunkAt(view, at))));
  const request = {
    ...{ view, lost, providers: candidates(context, task) },
    rewrite: task.all === true ? shardsOf(view, task) : undefined,
    doubtful: doubtfulOf(context, task),
    failureDomain: object.record.certificate.domains.level,
  };
  const plan = await planRepair(request, () => context.clock.sleep(0, signal));
  const moved = await move(context, task, view, { lost, plan, lease }, signal);
  throwIfAborted(signal, 'repair');
  const rewritten = new Set(moved === undefined ? [] : plan.moves.keys());
  for (const { at } of moved?.failed ?? []) rewritten.delete(at);
  await forgetNotes(context, mended(moved?.view ?? view, notes, rewritten));
  if (moved !== undefined) await noteFound(context, task, moved);
  return {
    chunks: [
      ...outcomesOf(view, new Set([...lost, ...plan.moves.keys()]), plan, moved),
      ...[...waiting].map(([chunk, missing]) => ({ chunk, missing, status: 'skipped' as const, bytes: 0 })),
    ],
    bytesRead: moved?.bytesRead ?? 0,
    bytesWritten: moved?.bytesWritten ?? 0,
    tolerates: plan.tolerates,
  };
}

/** Chunks, of the object, that have lost something and have to wait, and how much. */
export async function waitingOf(
  view: SegmentView,
  lost: ReadonlySet<number>,
  { waits }: SegmentToRepair,
): Promise<Map<number, number>> {
  const missing = new Map<number, number>();
  for (const at of lost) missing.set(chunkAt(view, at), (missing.get(chunkAt(view, at)) ?? 0) + 1);
  for (const chunk of [...missing.keys()]) if (!(await waits(chunk))) missing.delete(chunk);
  return missing;
}

/** Of the object. */
export const chunkAt = ({ record, code }: SegmentView, at: number): number =>
  record.firstChunk + Math.floor(at / code.totalShards);

/** What it is about. */
function shardsOf(view: SegmentView, { only }: SegmentToRepair): Set<number> {
  const { totalShards } = view.code;
  const shards = new Set<number>();
  for (let chunk = 0; chunk < view.shardLengths.length; chunk++) {
    if (only !== undefined && only !== view.record.firstChunk + chunk) continue;
    for (let shard = 0; shard < totalShards; shard++) shards.add(chunk * totalShards + shard);
  }
  return shards;
}

/** What of it is not where it ought to be, as far as is known. */
function lostShards(view: SegmentView, task: SegmentToRepair, notes: readonly DamageNote[]): Set<number> {
  const { totalShards } = view.code;
  const isLost = (at: number): boolean => {
    const { pack } = locate(view, Math.floor(at / totalShards), at % totalShards);
    return task.lost.has(pack.provider) || notes.some((note) => isNoted(note, pack, at));
  };
  return new Set([...shardsOf(view, task)].filter(isLost));
}

/** All that are configured; new shards go to those that take some now and are not gone. */
export function candidates(
  { directory }: MovingContext,
  { lost }: Pick<SegmentToRepair, 'lost'>,
): PlacementProvider[] {
  const { eligible, scores = [] } = directory.forStore();
  const score = new Map(eligible.map(({ id }, i) => [id, scores[i]]));
  return directory.all().map(({ id, domain }) => ({
    id,
    domain,
    score: score.get(id),
    eligible: score.has(id) && !lost.has(id),
  }));
}

function doubtfulOf(
  { directory }: MovingContext,
  { lost }: Pick<SegmentToRepair, 'lost'>,
): Map<string, boolean> {
  const { doubtful = [] } = directory.forStore();
  return new Map(
    doubtful.flatMap(({ provider: { id }, isMostlyRight }) => (lost.has(id) ? [] : [[id, isMostlyRight]])),
  );
}

interface ToMove {
  readonly lost: ReadonlySet<number>;
  readonly plan: RepairOfSegment;
  readonly lease: SegmentLease;
}

async function move(
  context: MovingContext,
  task: SegmentToRepair,
  view: SegmentView,
  { lost, plan, lease }: ToMove,
  signal: AbortSignal | undefined,
): Promise<Moved | undefined> {
  if (plan.moves.size === 0) return undefined;
  const { object, segment, pace, room, graceMs, all } = task;
  const request = {
    at: { segment, manifest: object.manifest },
    ...{ record: object.record, view, moves: plan.moves, lease, pace, room, graceMs },
    lost,
    rewrites: all,
    exempt: plan.tolerates <= 0,
  };
  return moveShards(context, request, { signal });
}

/** Notes whose shards are all in another place by now, or stored anew. */
export function mended(
  view: SegmentView,
  notes: readonly DamageNote[],
  rewritten: ReadonlySet<number>,
): DamageNote[] {
  const wrong = new Set<DamageNote>();
  for (let chunk = 0; chunk < view.shardLengths.length; chunk++) {
    for (let shard = 0; shard < view.code.totalShards; shard++) {
      const at = chunk * view.code.totalShards + shard;
      const { pack } = locate(view, chunk, shard);
      if (rewritten.has(at)) continue;
      for (const note of notes) if (isNoted(note, pack, at)) wrong.add(note);
    }
  }
  return notes.filter((note) => !wrong.has(note));
}

export const isNoted = (note: DamageNote, pack: PackRecord, at: number): boolean =>
  note.provider === pack.provider &&
  note.pack === pack.address &&
  (note.shards === undefined || note.shards.includes(at));

/** What was found on the way, for the next repair. */
export async function noteFound(
  context: MovingContext,
  { object, segment }: Pick<SegmentToRepair, 'object' | 'segment'>,
  { view, damage }: Moved,
): Promise<void> {
  const found = damage.flatMap(({ provider, blob, problem, chunk, shard }): FoundDamage[] => {
    if (problem === 'unavailable' || chunk === undefined || shard === undefined) return [];
    const at = (chunk - view.record.firstChunk) * view.code.totalShards + shard;
    const where = { segment, manifest: object.manifest, provider, pack: blob };
    return [{ ...where, problem, shards: [at], foundBy: 'repair' }];
  });
  if (found.length > 0) await noteDamage(context, found);
}

export function outcomesOf(
  view: SegmentView,
  lost: ReadonlySet<number>,
  { hopeless, homeless }: Pick<RepairOfSegment, 'hopeless' | 'homeless'>,
  moved: Moved | undefined,
): ChunkOutcome[] {
  const { totalShards } = view.code;
  const failed = new Map(moved?.failed.map(({ at, error }) => [at, error]));
  for (const at of homeless) failed.set(at, nobodyTakes());
  const byChunk = new Map<number, number[]>();
  for (const at of lost) entryOf(byChunk, Math.floor(at / totalShards), () => []).push(at);
  return [...byChunk].map(([chunk, shards]): ChunkOutcome => {
    const base = { chunk: view.record.firstChunk + chunk, missing: shards.length };
    const errors = shards.flatMap((at) => failed.get(at) ?? []);
    const bytes = (shards.length - errors.length) * view.shardLengths[chunk]!;
    if (hopeless.includes(chunk)) return { ...base, status: 'fatal', bytes: 0 };
    if (errors.length === 0) return { ...base, status: 'success', bytes };
    const failure = errors.find(({ code }) => code !== 'egress_cap');
    if (failure === undefined) return { ...base, status: 'skipped', bytes, error: errors[0] };
    return { ...base, status: 'failure', bytes, error: failure };
  });
}

const nobodyTakes = (): HoldfastError =>
  new HoldfastError('Unavailable', 'no provider takes new shards', {
    code: 'not_enough_providers',
    hint: 'See `holdfast providers` for the state of each; free space, add some or bring some back.',
  });
