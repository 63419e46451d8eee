import type { AbortOptions } from '../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../core/address.ts';
import { utf8Decode, utf8Encode } from '../core/bytes.ts';
import { isCount } from '../core/counts.ts';
import { isHoldfastError } from '../core/errors.ts';
import { entriesFrom } from '../engine/batches.ts';
import type { BatchOp, Engine, Precondition } from '../engine/engine.ts';
import type { BlobAt, Place } from './claims.ts';
import { manifestStands } from './manifests.ts';

/** `<provider>/<address>` → a pack that shards are being moved to, were moved to, or were moved away from. */
export const MOVES_TABLE = 'moves';
/** The places of those that somebody is still to do something about → nothing. */
const OPEN_TABLE = 'open_moves';

/** What a pack has to do with a move. A place without such a row has its pack by the word of the segment's node, if at all. */
export interface MoveRow {
  /**
   * `intended`: its owner stores it, or has. `recorded`: shards ought to be there. `leaving`: none ought to be there any
   * more, and it is deleted once nobody reads it.
   */
  readonly state: 'intended' | 'recorded' | 'leaving';
  readonly segment: BlobAddress;
  readonly manifest: BlobAddress;
  readonly bytes: number;
  /** When it came to be so; ms. */
  readonly sinceMs: number;
  /** How often the state had been recovered by then: what it knew before may be wrong now. */
  readonly recoveries: number;
  /** Who stores what is intended. */
  readonly owner?: string | undefined;
  /** Shards ought to be there already, and it is stored anew: by a relocation, or by the segment's node. */
  readonly was?: 'recorded' | 'named' | undefined;
  /** When what is leaving may be deleted; ms. */
  readonly dueMs?: number | undefined;
}

/** A row as it stands; `row` is undefined for one that is malformed, `stored` where the engine cannot read it. */
export interface StoredMove {
  readonly key: Place;
  readonly stored: Uint8Array | undefined;
  readonly row: MoveRow | undefined;
  readonly isThere: boolean;
}

/** @internal Tests pin its bytes. */
export function encodeMove(move: MoveRow): Uint8Array {
  const { state, segment, manifest, bytes, sinceMs: since, recoveries, owner, was, dueMs: due } = move;
  return utf8Encode(
    JSON.stringify({ v: 1, state, segment, manifest, bytes, since, recoveries, owner, was, due }),
  );
}

const STATES: readonly unknown[] = ['intended', 'recorded', 'leaving'];
const BEFORE: readonly unknown[] = [undefined, 'recorded', 'named'];

/** Undefined for what is damaged, or of a later version. @internal */
export function moveIn(stored: Uint8Array): MoveRow | undefined {
  try {
    const record = JSON.parse(utf8Decode(stored)) as Record<string, unknown>;
    const { v, state, segment, manifest, bytes, since, recoveries, owner, was, due } = record;
    const whole =
      v === 1 &&
      STATES.includes(state) &&
      [segment, manifest].every((address) => typeof address === 'string' && isBlobAddress(address)) &&
      [bytes, since, recoveries].every(isCount) &&
      (state === 'intended' ? typeof owner === 'string' : owner === undefined) &&
      (state === 'leaving' ? isCount(due) : due === undefined) &&
      (state === 'intended' ? BEFORE.includes(was) : was === undefined);
    if (!whole) return undefined;
    return { state, segment, manifest, bytes, sinceMs: since, recoveries, owner, was, dueMs: due } as MoveRow;
  } catch {
    return undefined;
  }
}

export async function readMove(engine: Engine, key: Place): Promise<StoredMove> {
  try {
    const stored = await engine.table(MOVES_TABLE).get(key);
    return { key, stored, row: stored && moveIn(stored), isThere: stored !== undefined };
  } catch (error) {
    if (!isHoldfastError(error, 'Corrupt')) throw error;
    return { key, stored: undefined, row: undefined, isThere: true };
  }
}

/** What writing a row takes, over what stands there. What the engine cannot read can be compared with nothing. */
export function moveChange(
  { key, stored, isThere }: StoredMove,
  next: MoveRow | undefined,
): {
  readonly ops: BatchOp[];
  readonly preconditions: Precondition[];
  readonly written: Uint8Array | undefined;
} {
  const written = next && encodeMove(next);
  const isOpen = next !== undefined && next.state !== 'recorded';
  const open = { table: OPEN_TABLE, key, value: isOpen ? new Uint8Array(0) : undefined };
  const isDamaged = isThere && stored === undefined;
  return {
    ops: isThere || next !== undefined ? [{ table: MOVES_TABLE, key, value: written }, open] : [],
    preconditions: isDamaged ? [] : [{ table: MOVES_TABLE, key, expected: stored }],
    written,
  };
}

/**
 * What claiming a place takes beside the claim: its row goes with it.
 * @returns undefined where somebody is storing: whoever ends that sees to it that what is not needed is deleted.
 */
export async function claimedMove(
  engine: Engine,
  key: Place,
): Promise<
  { readonly ops: BatchOp[]; readonly preconditions: Precondition[]; readonly bytes: number } | undefined
> {
  const there = await readMove(engine, key);
  if (there.row?.state === 'intended') return undefined;
  const { ops, preconditions } = moveChange(there, undefined);
  return { ops, preconditions, bytes: there.row?.bytes ?? 0 };
}

/** Of these places those that a move speaks for: one that is under way, or of an object that is there. */
export async function movedAmong(engine: Engine, places: Iterable<string>): Promise<string[]> {
  const moved: string[] = [];
  for (const place of places) {
    const { row, isThere } = await readMove(engine, place as Place);
    const isSpoken =
      row === undefined || row.state === 'intended' ? isThere : await stands(engine, row.manifest);
    if (isSpoken) moved.push(place);
  }
  return moved;
}

async function stands(engine: Engine, manifest: BlobAddress): Promise<boolean> {
  try {
    return (await manifestStands(engine, manifest)).isThere;
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return true;
    throw error;
  }
}

/** Takes out what says that somebody is to do something about a place, where nobody is. */
export const notOpen = ({ key, stored }: StoredMove): { op: BatchOp; holds: Precondition } => ({
  op: { table: OPEN_TABLE, key, value: undefined },
  holds: { table: MOVES_TABLE, key, expected: stored },
});

/** An open move, and what is there. */
export interface OpenMove extends StoredMove {
  readonly blob: Pick<BlobAt, 'provider' | 'address'>;
}

/** Moves that somebody is still to do something about, those from a place on first. */
export async function* openMoves(
  engine: Engine,
  from = '',
  options: AbortOptions & { readonly onDamaged?: (key: string) => void } = {},
): AsyncGenerator<OpenMove> {
  const { onDamaged = () => {} } = options;
  for await (const [key] of entriesFrom(engine.table(OPEN_TABLE), '', from, onDamaged, options)) {
    const slash = key.lastIndexOf('/');
    const address = key.slice(slash + 1);
    if (!isBlobAddress(address)) onDamaged(key);
    else
      yield { ...(await readMove(engine, key as Place)), blob: { provider: key.slice(0, slash), address } };
  }
}
