import type { BlobAddress } from '../core/address.ts';
import { equalBytes } from '../core/bytes.ts';
import { recordedTime } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import type { BatchOp, Precondition } from '../engine/engine.ts';
import { MAX_RELOCATIONS, type RelocatedPack, type RelocationRecord } from '../manifest/relocation.ts';
import type { PackRecord } from '../manifest/segment.ts';
import type { SegmentView } from '../object/places.ts';
import { blobKey, fits, keptPacks, type Relocation, unitedPacks } from '../object/relocations.ts';
import { decidedNow, type Place, placeOf, readClaim, TRASH_TABLE } from './claims.ts';
import type { RecordsContext } from './context.ts';
import { manifestStands } from './manifests.ts';
import { type MoveRow, moveChange, readMove, type StoredMove } from './move-rows.ts';
import { slotIsDue } from './relocation-slots.ts';
import { noRelocation, relocationOp, storedRelocations } from './relocations.ts';
import { isHeld, type LeasingContext, type SegmentLease } from './repair-leases.ts';
import { usageChange } from './usage.ts';

/** Others may write in between so often. */
const MAX_ROUNDS = 8;
/** What moved away stays so long at least: readers may believe for a second that nothing was moved. */
const MIN_GRACE_MS = 5_000;

/** A segment that is there, and the object it is of. */
export interface SegmentAt {
  /** Address of its node, or of the root that it stands in. */
  readonly segment: BlobAddress;
  readonly manifest: BlobAddress;
}

/** A pack that is about to be stored. */
export interface PackToStore extends PackRecord {
  /** Shards ought to be in it already, by these relocations or by the segment's node: it is stored anew. */
  readonly was?: 'recorded' | 'named' | undefined;
}

/** That a pack may be stored: whatever becomes of it, the row that says so is ended, by its owner or by others. */
export interface Intent extends StoredMove {
  readonly pack: PackToStore;
  readonly row: MoveRow;
  readonly stored: Uint8Array;
  /** Its bytes count as used at the provider already: it ought to be there, or was to be deleted. */
  readonly isCounted: boolean;
}

/** */
export interface Intended {
  readonly intents: readonly Intent[];
  /** Packs that may not be stored now. */
  readonly refused: readonly { readonly pack: PackToStore; readonly error: HoldfastError }[];
}

/**
 * Notes packs, flushed, before they are stored. No DELETE of theirs is on its way then, nor sent before the row is ended. One that
 * is only queued is taken out.
 * @throws HoldfastError `NotFound` when the object is not there any more.
 */
export async function intendPacks(
  context: LeasingContext,
  at: SegmentAt,
  packs: readonly PackToStore[],
): Promise<Intended> {
  const intents: Intent[] = [];
  const refused: { pack: PackToStore; error: HoldfastError }[] = [];
  const owner = await context.owner();
  for (const pack of packs) {
    const intent = await intend(context, at, pack, owner);
    if (intent === undefined) refused.push({ pack, error: mayBeDeleting(pack) });
    else intents.push(intent);
  }
  return { intents, refused };
}

/** @returns undefined where a DELETE may be on its way, or another stores the same. */
async function intend(
  context: LeasingContext,
  at: SegmentAt,
  pack: PackToStore,
  owner: string,
): Promise<Intent | undefined> {
  const { engine } = context;
  const key = placeOf(pack);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const { isThere, holds: stands } = await manifestStands(engine, at.manifest);
    if (!isThere) throw objectGone();
    const there = await readMove(engine, key);
    if (there.row?.state === 'intended' && !(await context.isGone(there.row.owner!, there.row.sinceMs)))
      return undefined;
    const claim = await readClaim(context, pack);
    if (!claim.isFree && claim.claim?.state !== 'queued') return undefined;
    const { recoveries } = await decidedNow(context);
    const base = { ...at, bytes: pack.length, sinceMs: recordedTime(context.clock), recoveries };
    const was = before(there) ?? pack.was;
    const row: MoveRow = { ...base, state: 'intended', owner, was };
    const { ops, preconditions, written } = moveChange(there, row);
    const trash = { table: TRASH_TABLE, key };
    const taken = claim.isFree ? [] : [{ ...trash, value: undefined }];
    const holds = [...preconditions, ...stands, { ...trash, expected: claim.stored }];
    if (await engine.batch([...ops, ...taken], holds, { sync: true })) {
      const isCounted = was !== undefined || there.row?.state === 'leaving' || (claim.claim?.bytes ?? 0) > 0;
      return { key, pack, row, stored: written!, isThere: true, isCounted };
    }
  }
  return undefined;
}

/** What a row says of a place that shards were moved to, also where somebody has begun to store it anew. */
const before = ({ row }: StoredMove): PackToStore['was'] =>
  row?.state === 'recorded' ? 'recorded' : row?.was;

/** What was stored and read back. */
export interface MoveToRecord {
  readonly at: SegmentAt;
  readonly view: SegmentView;
  readonly lease: SegmentLease;
  /** Packs in which shards ought to be from now on; none where packs were only stored anew. */
  readonly packs: readonly RelocatedPack[];
  readonly intents: readonly Intent[];
  /** What was moved away stays for so long for those who read it, milliseconds. */
  readonly graceMs: number;
  /** To be written in the same step. @param relocations as they are then, newest first. */
  readonly also: (relocations: readonly Relocation[]) => readonly BatchOp[];
}

/**
 * Makes a move count, in one flushed step: where the shards are, what is kept, what is used, and what is to be deleted later, for no
 * shard ought to be in it any more.
 * @returns the relocations as they are then, newest first.
 * @throws HoldfastError `NotFound` when the object was removed meanwhile; `Conflict` when the right to do it was lost. Nothing
 * is changed then.
 */
export async function recordMove(
  context: RecordsContext,
  move: MoveToRecord,
): Promise<readonly Relocation[]> {
  const { engine } = context;
  const { at, lease, intents } = move;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const { isThere, holds: stands } = await manifestStands(engine, at.manifest);
    if (!isThere) throw objectGone();
    const { ops, preconditions, after } = await changeOf(context, move);
    if (await engine.batch(ops, [...preconditions, ...stands, lease.holds], { sync: true })) return after;
    if (!(await isHeld(context, lease))) break;
    for (const { key, stored } of intents) if (!(await isStill(context, key, stored))) throw fenced();
  }
  throw fenced();
}

async function changeOf(context: RecordsContext, move: MoveToRecord): Promise<Change> {
  const { at, view, packs, intents, graceMs, also } = move;
  const { engine, clock, blake3 } = context;
  const now = recordedTime(clock);
  const { keys, records } = await storedRelocations(engine, at.segment);
  const known = records.filter((one) => fits(view, one)).slice(0, MAX_RELOCATIONS);
  const { fresh, all, unites } =
    packs.length === 0 ? unmoved(known) : next(at, packs, known, keys.length, now);
  const change: Change = { ops: [], preconditions: [], after: vouched(all) };
  add(change, { ops: [...also(change.after), ...fresh.map((one) => relocationOp(blake3, one))] });
  if (unites) add(change, { ops: keys.map(noRelocation) });
  if (fresh.length > 0) add(change, { ops: [slotIsDue(at.segment, at.manifest, fresh[0]!.movedMs)] });
  const { recoveries } = await decidedNow(context);
  const base = { ...at, sinceMs: now, recoveries };
  const named = new Set(packs.map(blobKey));
  for (const { pack, ...there } of intents) {
    const isRecorded = named.has(there.key) || there.row.was === 'recorded';
    const row = isRecorded ? ({ ...base, state: 'recorded', bytes: pack.length } as const) : undefined;
    add(change, moveChange(there, row));
  }
  const was = keptPacks(view.record, vouched(known));
  const is = keptPacks(view.record, change.after);
  const [came, went] = [without(is, was), without(was, is)];
  const dueMs = now + Math.max(MIN_GRACE_MS, graceMs);
  for (const pack of went) {
    const { isFree, stored } = await readClaim(context, pack);
    // What is to be deleted already is not kept for anybody.
    if (!isFree) continue;
    const there = await readMove(engine, placeOf(pack));
    add(change, moveChange(there, { ...base, state: 'leaving', bytes: pack.length, dueMs }));
    add(change, { preconditions: [{ table: TRASH_TABLE, key: placeOf(pack), expected: stored }] });
  }
  const bytes = [
    ...came.map(({ provider, length }) => ({ provider, bytes: length })),
    ...went.map(({ provider, length }) => ({ provider, bytes: -length })),
  ];
  if (bytes.length > 0) add(change, await usageChange(context, at.manifest, bytes));
  return change;
}

interface Change {
  readonly ops: BatchOp[];
  readonly preconditions: Precondition[];
  readonly after: readonly Relocation[];
}

function add(
  change: Change,
  { ops = [], preconditions = [] }: { ops?: readonly BatchOp[]; preconditions?: readonly Precondition[] },
): void {
  change.ops.push(...ops);
  change.preconditions.push(...preconditions);
}

/** Relocations to be written, all that there are then, and whether those that stand there go. */
interface Next {
  readonly fresh: readonly RelocationRecord[];
  readonly all: readonly RelocationRecord[];
  readonly unites: boolean;
}

const unmoved = (known: readonly RelocationRecord[]): Next => ({ fresh: [], all: known, unites: false });

/**
 * One more, or all in as few as may be where that would be more than a reader looks at. The newest by its time whatever the clock
 * shows.
 * @param rows those that stand there, malformed ones too.
 */
function next(
  { segment }: SegmentAt,
  packs: readonly RelocatedPack[],
  known: readonly RelocationRecord[],
  rows: number,
  now: number,
): Next {
  const newestMs = known[0]?.movedMs ?? -1;
  const one = { segment, movedMs: Math.max(now, newestMs + 1), packs };
  if (rows < MAX_RELOCATIONS) return { fresh: [one], all: [one, ...known], unites: false };
  const united = unitedPacks([one, ...known]);
  if (united.length > MAX_RELOCATIONS) throw entangled();
  const latestMs = Math.max(now, newestMs + united.length);
  const fresh = united.map((its, nth) => ({ segment, movedMs: latestMs - nth, packs: its }));
  return { fresh, all: fresh, unites: true };
}

async function isStill({ engine }: RecordsContext, key: Place, stored: Uint8Array): Promise<boolean> {
  const now = (await readMove(engine, key)).stored;
  return now !== undefined && equalBytes(now, stored);
}

const vouched = (records: readonly RelocationRecord[]): readonly Relocation[] =>
  records.map((one) => ({ ...one, recorded: true }));

function without(packs: readonly PackRecord[], others: readonly PackRecord[]): PackRecord[] {
  const keys = new Set(others.map(blobKey));
  return packs.filter((pack) => !keys.has(blobKey(pack)));
}

const objectGone = (): HoldfastError =>
  new HoldfastError('NotFound', 'the object was removed meanwhile', { hint: 'Nothing is left to be moved.' });

const mayBeDeleting = ({ provider }: PackRecord): HoldfastError =>
  new HoldfastError('Conflict', 'it may still be deleting this pack, or another stores it', {
    provider,
    status: 'temporary',
  });

const fenced = (): HoldfastError =>
  new HoldfastError('Conflict', 'another worker has taken over the segment', {
    code: 'segment_leased',
    status: 'temporary',
  });

const entangled = (): HoldfastError =>
  new HoldfastError('Conflict', 'shards of this segment were moved too often in part: move whole packs', {
    code: 'moves_entangled',
  });
