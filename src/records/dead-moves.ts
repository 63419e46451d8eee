import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import { equalBytes, toHex } from '../core/bytes.ts';
import { recordedTime } from '../core/clock.ts';
import { decidedNow, encodeClaim, readClaim, TRASH_TABLE } from './claims.ts';
import type { RecordsContext } from './context.ts';
import { generationOf } from './generation.ts';
import { engineGenerationOf } from './generation-record.ts';
import { manifestStands } from './manifests.ts';
import {
  MOVES_TABLE,
  type MoveRow,
  moveChange,
  notOpen,
  type OpenMove,
  openMoves,
  readMove,
} from './move-rows.ts';
import type { Intent } from './moves.ts';
import { type Poison, PoisonLog } from './poison.ts';
import { isTold } from './relocation-slots.ts';
import { type LeasingContext, tidyLeases } from './repair-leases.ts';
import { recountIsDue } from './usage.ts';

/** Others may write in between so often. */
const MAX_ROUNDS = 8;
/** Rows that are looked at in one go. */
const MAX_LOOKED_AT = 4096;

/** An open move whose row can be read. */
type EndedMove = OpenMove & { readonly row: MoveRow };

/**
 * Ends what was intended and will not be recorded: what is stored of it is deleted, but for what ought to be there anyway.
 * @param counted those of them that were counted as used when they were stored.
 */
export async function abandonPacks(
  context: RecordsContext,
  intents: readonly Intent[],
  counted: ReadonlySet<Intent>,
): Promise<void> {
  for (const intent of intents) {
    const move = { ...intent, blob: intent.pack };
    await endMove(context, move, intent.isCounted || counted.has(intent) ? intent.row.bytes : 0);
  }
}

export interface MovesEnded {
  readonly ended: number;
  /** Nothing is done about them. */
  readonly poison: Poison;
  /** Why nothing was deleted that should be: it is not certain that this state is the latest. */
  readonly postponed?: string | undefined;
}

/**
 * Ends moves and leases whose owner is gone, and lets go of what was moved away once nobody reads it any more: both is queued to be deleted.
 * Before the first of the latter the generation is raised and told, so that no older copy of the state takes itself for
 * the latest while what it knows of goes.
 */
export async function endDeadMoves(context: LeasingContext, options: AbortOptions = {}): Promise<MovesEnded> {
  const { engine, random } = context;
  await tidyLeases(context, options);
  const poison = new PoisonLog(MOVES_TABLE);
  const dead: EndedMove[] = [];
  const leaving: EndedMove[] = [];
  let looked = 0;
  for await (const move of openMoves(engine, anyPlace(context), { ...options, onDamaged: poison.add })) {
    throwIfAborted(options.signal, 'tidying up');
    if (looked++ === MAX_LOOKED_AT) break;
    const { row, isThere } = move;
    if (row === undefined && isThere) poison.add(move.key);
    else if (row === undefined || row.state === 'recorded') await close(context, move);
    else if (row.state === 'leaving') {
      if (await isDue(context, { ...move, row })) leaving.push({ ...move, row });
    } else if (await context.isGone(row.owner!, row.sinceMs)) dead.push({ ...move, row });
  }
  if (dead.length + leaving.length === 0) return { ended: 0, poison };
  const { state } = await generationOf(context).standing(options);
  if (state !== 'confirmed') return { ended: 0, poison, postponed: NOT_THE_LATEST };
  if (leaving.length > 0) {
    await engineGenerationOf(engine).write([], [], random);
    await generationOf(context).publish();
  }
  // Whoever died may have counted what it stored.
  if (dead.length > 0) await recountIsDue(context);
  for (const move of dead) await endMove(context, move, 0);
  for (const move of leaving) await endMove(context, move, move.row.bytes);
  return { ended: dead.length + leaving.length, poison };
}

const NOT_THE_LATEST = 'this state is not known to be the latest';

/** So that none is passed over for ever. */
function anyPlace({ directory, random }: RecordsContext): string {
  const all = directory.all();
  const [which, digits] = [random(1)[0]!, random(2)];
  const provider = all[Math.floor((all.length * which) / 256)];
  return provider === undefined ? '' : `${provider.id}/b3:${toHex(digits)}`;
}

async function close({ engine }: RecordsContext, move: OpenMove): Promise<void> {
  const { op, holds } = notOpen(move);
  await engine.batch([op], [holds]);
}

/** Whether what was moved away may go. At a provider that is not known now nothing can be deleted. */
async function isDue(context: RecordsContext, move: EndedMove): Promise<boolean> {
  const { row, blob } = move;
  const now = recordedTime(context.clock);
  if (row.sinceMs <= now) {
    if (row.dueMs! > now || context.directory.get(blob.provider) === undefined) return false;
    // Whoever loses the engine finds the shards where the providers say that they are.
    return isTold(context, row);
  }
  // The clock was wrong then: it counts from now.
  const corrected = { ...row, sinceMs: now, dueMs: now + row.dueMs! - row.sinceMs };
  const { ops, preconditions } = moveChange(move, corrected);
  await context.engine.batch(ops, preconditions);
  return false;
}

/**
 * What was decided before the state was recovered may be wrong now: its row ends, and what nothing leads to a scrub finds.
 * @param bytes that count as used there.
 */
async function endMove(context: RecordsContext, move: EndedMove, bytes: number): Promise<void> {
  const { engine, clock } = context;
  const { row, key, stored } = move;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const manifest = await manifestStands(engine, row.manifest);
    const claim = await readClaim(context, move.blob);
    const decided = await decidedNow(context);
    const sinceMs = recordedTime(clock);
    const isKept = manifest.isThere && row.was !== undefined;
    const restored = isKept && row.was === 'recorded';
    const next: MoveRow = { ...row, state: 'recorded', sinceMs, owner: undefined, was: undefined };
    const { ops, preconditions } = moveChange(move, restored ? next : undefined);
    const goes = !isKept && claim.isFree && row.recoveries === decided.recoveries;
    const at = { table: TRASH_TABLE, key };
    if (goes) {
      const its = { ...decided, state: 'queued', bytes: row.was === undefined ? bytes : row.bytes } as const;
      ops.push({ ...at, value: encodeClaim({ ...its, sinceMs }) });
      preconditions.push({ ...at, expected: undefined });
    }
    if (await engine.batch(ops, [...preconditions, ...manifest.holds], { sync: true })) return;
    const now = await readMove(engine, key);
    if (!now.isThere || !equalBytes(now.stored ?? NOTHING, stored ?? NOTHING)) return;
  }
}

const NOTHING = new Uint8Array(0);
