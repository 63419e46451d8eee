import type { AbortOptions } from '../core/abort.ts';
import { isBlobAddress } from '../core/address.ts';
import { toHex } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';
import type { PieceFailure } from '../core/pieces.ts';
import { isEmpty, writeInBatches } from '../engine/batches.ts';
import {
  type BlobAt,
  type Claim,
  claims,
  type Decided,
  decidedNow,
  encodeClaim,
  type Place,
  SETTLE_MS,
  type StoredClaim,
  TRASH_TABLE,
} from './claims.ts';
import type { RecordsContext } from './context.ts';
import { claimAgain, isAsked, isAtWork, nowMs, send } from './deletes.ts';
import { generationOf } from './generation.ts';
import { intendedAmong } from './intents.ts';
import { type Poison, PoisonLog } from './poison.ts';
import { recountIsDue } from './usage.ts';

/** Claims of each provider that are tried in one go, and that are looked at for that. */
const MAX_RETRIED = 128;
const MAX_LOOKED_AT = 1024;

export interface TrashEmptied {
  /** Blobs of those tried that may still be there. */
  readonly left: number;
  readonly poison: Poison;
  /** Providers at which some of those that were tried may still be there. */
  readonly failures: readonly PieceFailure[];
}

/**
 * Tries again what could not be deleted before, and settles what nobody knows about, if this state is the latest. Nothing is
 * sent for what was decided before a recovery, nor for what a journal speaks for.
 * @param isGone whether an owner that claimed something at that time will send nothing any more.
 */
export async function emptyTrash(
  context: RecordsContext,
  isGone: (owner: string, sinceMs: number) => Promise<boolean>,
  options: AbortOptions = {},
): Promise<TrashEmptied> {
  const poison = new PoisonLog(TRASH_TABLE);
  const waiting = await someOfEach(context, poison, options);
  if (waiting.length === 0) return { left: 0, poison, failures: [] };
  const { state } = await generationOf(context).standing(options);
  if (state !== 'confirmed') {
    return { left: waiting.length, poison, failures: [{ piece: state, error: notTheLatest() }] };
  }
  const places = new Set(waiting.map(({ key }) => key));
  const spoken = await intendedAmong(context, places, { ...options, passDamaged: true });
  const decided = await decidedNow(context);
  const own = await context.owner();
  const isLeft = async ({ owner, sinceMs }: Claim, key: Place): Promise<boolean> =>
    owner === own ? !isAtWork(context.engine, key) : isGone(owner!, sinceMs);
  const tries = new Map<string, number>();
  const due: StoredClaim[] = [];
  const left: string[] = [];
  for (const one of waiting) {
    if (spoken.has(one.key) || one.claim.recoveries !== decided.recoveries) continue;
    if (one.claim.state === 'deleting' && !(await isLeft(one.claim, one.key))) continue;
    const tried = tries.get(one.provider) ?? 0;
    if (tried === MAX_RETRIED || !isDue(one.claim, nowMs(context))) continue;
    if (one.claim.stays) {
      await context.engine.table(TRASH_TABLE).compareAndSet(one.key, one.stored, undefined);
      continue;
    }
    tries.set(one.provider, tried + 1);
    if (isAsked(context, one, options)) due.push(one);
    else left.push(one.provider);
  }
  // Whoever left them behind may have counted them as deleted.
  if (due.some(({ claim }) => claim.state === 'deleting')) await recountIsDue(context);
  const ours = await claimAgain(context, due, decided);
  for (const { blob } of await send(context, ours, options)) left.push(blob.provider);
  const failures = [...new Set(left)].map((piece) => ({ piece, error: notDeleted(left, piece) }));
  return { left: left.length, poison, failures };
}

const notDeleted = (left: readonly string[], provider: string): HoldfastError => {
  const count = left.filter((one) => one === provider).length;
  return new HoldfastError('Unavailable', `blobs could not be deleted there: ${count}`, { provider });
};

const notTheLatest = (): HoldfastError =>
  new HoldfastError('Unavailable', 'nothing is deleted: this state is not known to be the latest');

/** What a DELETE has answered already waits until none of before can be under way. */
const isDue = ({ state, answered, stays, sinceMs }: Claim, now: number): boolean =>
  state !== 'unsettled' || (!answered && !stays) || now < sinceMs || now - sinceMs >= SETTLE_MS;

/** Claims that are judged at once. */
const MAX_JUDGED = 1024;

type Verdict = 'goes' | 'stays';

/**
 * Judges anew what was decided before the state was recovered: what is needed stays, and all else is queued again.
 * @param decided by what the state knew then it is judged.
 * @param judge asked of many at once; undefined: that cannot be told now.
 * @returns what is queued again, to be deleted.
 */
export async function judgeAnew(
  context: RecordsContext,
  decided: Decided,
  judge: (old: readonly StoredClaim[]) => Promise<readonly (Verdict | undefined)[]>,
  options: AbortOptions = {},
): Promise<BlobAt[]> {
  const table = context.engine.table(TRASH_TABLE);
  const now = nowMs(context);
  const queued: BlobAt[] = [];
  const settle = async (old: readonly StoredClaim[]): Promise<void> => {
    const verdicts = await judge(old);
    for (const [at, { key, provider, address, stored, claim }] of old.entries()) {
      const verdict = verdicts[at];
      if (verdict === undefined) continue;
      const next = judged(claim, decided, verdict, now);
      const written = await table.compareAndSet(key, stored, next && encodeClaim(next), { sync: true });
      if (written && next?.state === 'queued') queued.push({ provider, address, bytes: next.bytes });
    }
  };
  let old: StoredClaim[] = [];
  for await (const one of claims(context, options)) {
    if (one.claim.recoveries === decided.recoveries) continue;
    if (old.push(one) < MAX_JUDGED) continue;
    await settle(old);
    old = [];
  }
  if (old.length > 0) await settle(old);
  return queued;
}

/** A DELETE may be under way of what is needed: until that is settled, nobody is to store it again. */
function judged(
  { state, bytes, sinceMs }: Claim,
  decided: Decided,
  verdict: Verdict,
  now: number,
): Claim | undefined {
  const stays = verdict === 'stays' ? true : undefined;
  if (state === 'queued') return stays ? undefined : { ...decided, state, bytes, sinceMs };
  const doubtMs = state === 'unsettled' ? Math.min(sinceMs, now) : now;
  return { ...decided, state: 'unsettled', bytes: stays ? 0 : bytes, sinceMs: doubtMs, stays };
}

/** From a random one on, so that none is passed over for ever. What cannot be read may be anything: it is unsettled. */
async function someOfEach(
  context: RecordsContext,
  poison: PoisonLog,
  options: AbortOptions,
): Promise<StoredClaim[]> {
  const found: StoredClaim[] = [];
  // As it is nearly always.
  if (await isEmpty(context.engine.table(TRASH_TABLE), options)) return found;
  const from = `b3:${toHex(context.random(2))}`;
  const unreadable: string[] = [];
  for (const { id } of context.directory.all()) {
    const prefix = `${id}/`;
    let left = MAX_LOOKED_AT;
    for (const range of [{ gte: prefix + from }, { lt: prefix + from }]) {
      const onUnreadable = (key: string): void => {
        poison.add(key);
        if (isBlobAddress(key.slice(prefix.length))) unreadable.push(key);
      };
      const its = { ...options, ...range, prefix, limit: left, onUnreadable };
      for await (const one of claims(context, its)) {
        left--;
        if (one.provider === id) found.push(one);
      }
      if (left <= 0) break;
    }
  }
  const sinceMs = nowMs(context);
  const anew = encodeClaim({ state: 'unsettled', bytes: 0, counter: 0, recoveries: 0, sinceMs });
  await writeInBatches(
    context.engine,
    unreadable.map((key) => ({ table: TRASH_TABLE, key, value: anew })),
  );
  return found;
}
