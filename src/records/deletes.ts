import { type AbortOptions, abortable } from '../core/abort.ts';
import { HoldfastError } from '../core/errors.ts';
import { entryOf } from '../core/maps.ts';
import { DELETES } from '../core/straggler-policies.ts';
import { Stragglers, type Turn } from '../core/stragglers.ts';
import type { BatchOp, Engine, Precondition } from '../engine/engine.ts';
import {
  type BlobAt,
  type Claim,
  type Decided,
  decidedNow,
  encodeClaim,
  type Place,
  placeOf,
  readClaim,
  SETTLE_MS,
  type StoredClaim,
  TRASH_TABLE,
  wasRefused,
} from './claims.ts';
import type { RecordsContext } from './context.ts';
import { claimedMove } from './move-rows.ts';
import { flushUsage } from './usage.ts';

/** Blobs that are claimed in one step: a claim may take five of the entries of a batch. */
const AT_ONCE = 512;
/** Others may claim the same between reading and writing so often. */
const MAX_ROUNDS = 8;

/**
 * Deletes blobs; those whose provider does not answer are queued for a later try. Each place is claimed, flushed, before
 * anything is sent; the claim stands until it is certain that no DELETE of it is under way.
 * @returns how many may still be there.
 */
export async function deleteOrQueue(
  context: RecordsContext,
  blobs: readonly BlobAt[],
  options: AbortOptions = {},
): Promise<number> {
  const each = eachOnce(blobs);
  let left = 0;
  for (let at = 0; at < each.length; at += AT_ONCE) {
    const some = each.slice(at, at + AT_ONCE);
    const ours = await claim(context, some, (blob) => isAsked(context, blob, options));
    left += some.length - ours.length + (await send(context, ours, options)).length;
  }
  return left;
}

/** Queues blobs to be deleted later, whether or not they are there yet. */
export async function queueDeletes(context: RecordsContext, blobs: readonly BlobAt[]): Promise<void> {
  const each = eachOnce(blobs);
  for (let at = 0; at < each.length; at += AT_ONCE) {
    await claim(context, each.slice(at, at + AT_ONCE), () => false);
  }
}

/**
 * Lets a blob be stored whose address is not new, once the journal speaks for its place: takes out what is queued there.
 * @throws HoldfastError `Conflict` when a DELETE may be on its way, or lands later.
 */
export async function freePlace(
  context: RecordsContext,
  place: Pick<BlobAt, 'provider' | 'address'>,
): Promise<void> {
  const table = context.engine.table(TRASH_TABLE);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const { isFree, stored, claim } = await readClaim(context, place);
    if (isFree) return;
    if (claim?.state !== 'queued') break;
    if (await table.compareAndSet(placeOf(place), stored, undefined)) return;
  }
  const { provider } = place;
  throw new HoldfastError('Conflict', 'it may still be deleting this blob', {
    provider,
    status: 'temporary',
  });
}

/** Places that this process is sending a DELETE to: a claim of its own that is not among them has been left behind. */
const AT_WORK = new WeakMap<Engine, Set<Place>>();

const atWork = (engine: Engine): Set<Place> => entryOf(AT_WORK, engine, () => new Set());

export const isAtWork = (engine: Engine, place: Place): boolean => atWork(engine).has(place);

/** A claim that this process holds: it may send a DELETE. */
export interface Held {
  readonly key: Place;
  readonly blob: BlobAt;
  readonly claim: Claim;
  readonly stored: Uint8Array;
}

interface Change extends Held {
  readonly expected: Uint8Array | undefined;
  /** What else is written with it, and depends on. */
  readonly also?: Pick<PlaceChange, 'ops' | 'preconditions'> | undefined;
}

interface PlaceChange {
  readonly key: Place;
  readonly expected: Uint8Array | undefined;
  readonly next: Uint8Array | undefined;
  readonly ops?: readonly BatchOp[] | undefined;
  readonly preconditions?: readonly Precondition[] | undefined;
}

/**
 * Claims places, flushed. What is claimed already stays as it is, but for what is queued; so does what somebody is storing
 * now, who will see that it goes. What a move said of a place ends with the claim.
 * @param isAsked what is not is queued.
 * @returns those that may be sent.
 */
async function claim(
  context: RecordsContext,
  blobs: readonly BlobAt[],
  isAsked: (blob: BlobAt) => boolean,
): Promise<Held[]> {
  const decided = await decidedNow(context);
  const owner = await context.owner();
  const ours: Held[] = [];
  let todo = blobs;
  for (let round = 0; todo.length > 0; round++) {
    if (round === MAX_ROUNDS) throw contended();
    const changes: Change[] = [];
    for (const blob of todo) {
      const { isFree, stored: expected, claim: there } = await readClaim(context, blob);
      if (!isFree && there?.state !== 'queued' && there?.stays !== true) continue;
      const move = await claimedMove(context.engine, placeOf(blob));
      if (move === undefined) continue;
      const asked = there?.stays !== true && isAsked(blob);
      const bytes = Math.max(blob.bytes, there?.bytes ?? 0, move.bytes);
      const base = { ...decided, bytes, sinceMs: nowMs(context) };
      const idle: Claim =
        there?.stays === true
          ? { ...base, state: 'unsettled', sinceMs: there.sinceMs }
          : { ...base, state: 'queued' };
      const next: Claim = asked ? { ...base, state: 'deleting', owner } : idle;
      changes.push({
        key: placeOf(blob),
        blob: { ...blob, bytes },
        claim: next,
        stored: encodeClaim(next),
        expected,
        also: move,
      });
    }
    const failed = await hold(context, changes);
    ours.push(...changes.filter((one) => one.claim.state === 'deleting' && !failed.has(one)));
    todo = [...failed].map(({ blob }) => blob);
  }
  return ours;
}

/** Claims what was queued, or is in doubt, and has not changed since it was read. */
export async function claimAgain(
  context: RecordsContext,
  due: readonly StoredClaim[],
  decided: Decided,
): Promise<Held[]> {
  const owner = await context.owner();
  const changes = due.map(({ key, provider, address, stored: expected, claim: before }): Change => {
    const sinceMs = nowMs(context);
    const { state, bytes } = before;
    // Of what was left behind nothing is known but that it is over now.
    const doubtMs = state === 'unsettled' && before.sinceMs <= sinceMs ? before.sinceMs : sinceMs;
    const doubt = state === 'queued' ? undefined : doubtMs;
    const next: Claim = { ...decided, state: 'deleting', bytes, owner, sinceMs, doubtMs: doubt };
    const blob = { provider, address, bytes };
    return { key, blob, claim: next, stored: encodeClaim(next), expected };
  });
  const failed: ReadonlySet<Held> = await hold(context, changes);
  return changes.filter((one) => !failed.has(one));
}

/** Writes claims, flushed; those that delete are at work from then on. @returns those that were changed meanwhile. */
async function hold({ engine }: RecordsContext, changes: readonly Change[]): Promise<Set<Change>> {
  const working = atWork(engine);
  const deleting = changes.filter(({ claim }) => claim.state === 'deleting');
  for (const { key } of deleting) working.add(key);
  const failed = new Set(changes);
  try {
    const done = await compareAndWrite(
      engine,
      changes.map(({ key, expected, stored, also }) => ({ key, expected, next: stored, ...also })),
      { sync: true },
    );
    for (const [at, one] of changes.entries()) if (done[at]) failed.delete(one);
  } finally {
    for (const one of deleting) if (failed.has(one)) working.delete(one.key);
  }
  return failed;
}

/** In one step where nobody came between, else each for itself. @returns of each whether it is written. */
async function compareAndWrite(
  engine: Engine,
  changes: readonly PlaceChange[],
  options: { readonly sync?: boolean } = {},
): Promise<boolean[]> {
  if (changes.length === 0) return [];
  const write = (some: readonly PlaceChange[]): Promise<boolean> => {
    const ops = some.flatMap(({ key, next, ops = [] }) => [{ table: TRASH_TABLE, key, value: next }, ...ops]);
    const stands = some.flatMap(({ key, expected, preconditions = [] }) => [
      { table: TRASH_TABLE, key, expected },
      ...preconditions,
    ]);
    return engine.batch(ops, stands, options);
  };
  if (await write(changes)) return changes.map(() => true);
  const done: boolean[] = [];
  for (const change of changes) done.push(await write([change]));
  return done;
}

const contended = (): HoldfastError =>
  new HoldfastError('Conflict', 'too many delete the same blobs at once', { status: 'temporary' });

/** Under way at once at each provider. */
const PARALLEL = 4;

/** What became of a DELETE: nothing was sent, or it was not done; nobody knows; it was done. */
type Outcome = 'unsent' | 'unknown' | 'done';

/**
 * Sends DELETEs, those of all providers at once. Nothing depends on it being done now, so nobody is waited for who is
 * known not to answer, or stands still while others get on.
 * @returns those that may still be there.
 */
export async function send(
  context: RecordsContext,
  ours: readonly Held[],
  options: AbortOptions,
): Promise<readonly Held[]> {
  if (ours.length === 0) return [];
  const outcomes = new Map<Held, Outcome>();
  const laggards = new Stragglers(context.clock, DELETES);
  try {
    const byProvider = new Map<string, Held[]>();
    for (const one of ours) entryOf(byProvider, one.blob.provider, () => []).push(one);
    const sending = [...byProvider].map(async ([provider, its]) => {
      const turn = laggards.begin(options.signal, 'delete', () => context.directory.late(provider));
      const work = async (): Promise<void> => {
        for (let one = its.pop(); one !== undefined; one = its.pop()) {
          outcomes.set(one, await deleteOne(context, one.blob, turn));
        }
      };
      await Promise.all(Array.from({ length: PARALLEL }, work));
      turn.end();
    });
    await Promise.all(sending);
    // Before the claims end: what is neither claimed nor counted, nobody would count.
    if (ours.some((one) => one.blob.bytes > 0 && outcomes.get(one) === 'done')) await flushUsage(context);
    const ends = ours.map((one) => {
      const next = afterwards(one.claim, outcomes.get(one)!, nowMs(context));
      return { key: one.key, expected: one.stored, next: next && encodeClaim(next) };
    });
    await compareAndWrite(context.engine, ends);
  } finally {
    laggards.close();
    for (const { key } of ours) atWork(context.engine).delete(key);
  }
  return ours.filter((one) => outcomes.get(one) !== 'done');
}

async function deleteOne(
  { clock, directory }: RecordsContext,
  { provider, address, bytes }: BlobAt,
  { signal, progressed }: Turn,
): Promise<Outcome> {
  const adapter = directory.get(provider)?.adapter;
  if (adapter === undefined || signal.aborted) return 'unsent';
  const started = clock.monotonic();
  try {
    await abortable(adapter.delete(address, { signal }), signal, 'delete');
  } catch (error) {
    return wasRefused(error) ? 'unsent' : 'unknown';
  }
  if (bytes > 0) directory.deleted(provider, bytes);
  progressed(clock.monotonic() - started);
  directory.heard(provider);
  return 'done';
}

/** What stands after a DELETE; undefined: nothing, for none is under way any more. */
function afterwards(claim: Claim, outcome: Outcome, now: number): Claim | undefined {
  const { counter, recoveries, bytes, sinceMs, doubtMs } = claim;
  const rest = { counter, recoveries, bytes };
  if (outcome === 'unknown') return { ...rest, state: 'unsettled', sinceMs: now };
  if (outcome === 'unsent' && doubtMs === undefined) return { ...rest, state: 'queued', sinceMs };
  if (doubtMs === undefined || (outcome === 'done' && sinceMs - doubtMs >= SETTLE_MS)) return undefined;
  const answered = outcome === 'done' ? true : undefined;
  return { ...rest, state: 'unsettled', bytes: answered ? 0 : bytes, sinceMs: doubtMs, answered };
}

/** Who is known not to answer is not asked; nor is anybody once it is over. */
export const isAsked = (
  { directory }: RecordsContext,
  { provider }: Pick<BlobAt, 'provider'>,
  { signal }: AbortOptions,
): boolean =>
  signal?.aborted !== true && directory.get(provider) !== undefined && directory.isResponsive(provider);

const eachOnce = (blobs: readonly BlobAt[]): BlobAt[] => [
  ...new Map(blobs.map((blob) => [placeOf(blob), blob])).values(),
];

export const nowMs = ({ clock }: RecordsContext): number => Math.max(0, Math.floor(clock.now()));
