import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { equalBytes, toHex, utf8Decode, utf8Encode } from '../core/bytes.ts';
import { recordedTime } from '../core/clock.ts';
import { isCount } from '../core/counts.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import { entriesFrom } from '../engine/batches.ts';
import type { Precondition } from '../engine/engine.ts';
import type { RecordsContext } from './context.ts';

/** Leases that are looked at in one go. */
const MAX_TIDIED = 1024;

/** Segment → who moves shards of it. */
const REPAIR_LEASES_TABLE = 'repair_leases';

/** Keeping records, and being able to tell whether an owner that was at work then will do nothing any more. */
export interface LeasingContext extends RecordsContext {
  readonly isGone: (owner: string, sinceMs: number) => Promise<boolean>;
}

/** The right to move shards of a segment, which one at a time has. */
export interface SegmentLease {
  readonly segment: BlobAddress;
  /** That it is held still: what is written by this right has it as a precondition. */
  readonly holds: Precondition;
}

/**
 * Takes the right to move shards of a segment: from nobody, or from an owner that is gone.
 * @throws HoldfastError `Conflict`, code `segment_leased`, while another has it.
 * @internal Tests hold it as long as they like.
 */
export async function leaseSegment(context: LeasingContext, segment: BlobAddress): Promise<SegmentLease> {
  const { engine, random } = context;
  const table = engine.table(REPAIR_LEASES_TABLE);
  const owner = await context.owner();
  const before = await table.get(segment).catch(damaged);
  if (before instanceof Uint8Array && !isLeft(owner, before) && !(await isFree(context, before)))
    throw leased();
  const nonce = toHex(random(8));
  const record = { v: 1, owner, nonce, since: recordedTime(context.clock) };
  const expected = utf8Encode(JSON.stringify(record));
  HELD.add(nonce);
  try {
    // One that is damaged is only written over.
    if (before === 'damaged') await table.put(segment, expected, { sync: true });
    else if (!(await table.compareAndSet(segment, before, expected, { sync: true }))) throw leased();
  } catch (error) {
    HELD.delete(nonce);
    throw error;
  }
  return { segment, holds: { table: REPAIR_LEASES_TABLE, key: segment, expected } };
}

/** Leases that this process has, by their nonces: one of its own that is not among them has been left behind. */
const HELD = new Set<string>();

/** It could not be let go of when its work was over, or nobody was told that it was taken. */
function isLeft(owner: string, stored: Uint8Array): boolean {
  const its = holderIn(stored);
  return its?.owner === owner && !HELD.has(its.nonce);
}

function damaged(error: unknown): 'damaged' {
  if (isHoldfastError(error, 'Corrupt')) return 'damaged';
  throw error;
}

/**
 * Lets go of it; does nothing where another has it by now.
 * @internal Tests hold it as long as they like.
 */
export async function releaseSegment(
  { engine }: RecordsContext,
  { segment, holds }: SegmentLease,
): Promise<void> {
  HELD.delete(holderIn(holds.expected!)!.nonce);
  await engine.table(REPAIR_LEASES_TABLE).compareAndSet(segment, holds.expected, undefined);
}

/**
 * Does what only one at a time may do to a segment.
 * @throws HoldfastError `Conflict`, code `segment_leased`, before anything is done, while another does such a thing.
 */
export async function withSegmentLease<T>(
  context: LeasingContext,
  segment: BlobAddress,
  work: (lease: SegmentLease) => Promise<T>,
): Promise<T> {
  const lease = await leaseSegment(context, segment);
  try {
    return await work(lease);
  } finally {
    await releaseSegment(context, lease);
  }
}

/** Removes what owners left that are gone; of some each time. */
export async function tidyLeases(context: LeasingContext, options: AbortOptions): Promise<void> {
  const table = context.engine.table(REPAIR_LEASES_TABLE);
  const from = `b3:${toHex(context.random(2))}`;
  let looked = 0;
  for await (const [key, stored] of entriesFrom(table, '', from, () => {}, options)) {
    if (looked++ === MAX_TIDIED) return;
    if (await isFree(context, stored)) await table.compareAndSet(key, stored, undefined, options);
  }
}

/** Whether it is held still. */
export async function isHeld({ engine }: RecordsContext, { segment, holds }: SegmentLease): Promise<boolean> {
  const now = await engine.table(REPAIR_LEASES_TABLE).get(segment);
  return now !== undefined && equalBytes(now, holds.expected!);
}

/** One that cannot be read was written by nobody who could go on by it. */
async function isFree(context: LeasingContext, stored: Uint8Array): Promise<boolean> {
  const its = holderIn(stored);
  return its === undefined || (await context.isGone(its.owner, its.sinceMs));
}

interface Holder {
  readonly owner: string;
  readonly nonce: string;
  readonly sinceMs: number;
}

function holderIn(stored: Uint8Array): Holder | undefined {
  try {
    const { v, owner, nonce, since } = JSON.parse(utf8Decode(stored)) as Record<string, unknown>;
    const whole = v === 1 && typeof owner === 'string' && typeof nonce === 'string' && isCount(since);
    return whole ? { owner, nonce, sinceMs: since } : undefined;
  } catch {
    return undefined;
  }
}

const leased = (): HoldfastError =>
  new HoldfastError('Conflict', 'another worker moves shards of this segment', {
    code: 'segment_leased',
    status: 'temporary',
    hint: 'Nothing was changed. Its work shows when it is done; try again then.',
  });
