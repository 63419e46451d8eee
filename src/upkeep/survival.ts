import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import { entryOf } from '../core/maps.ts';
import type { RecordsContext } from '../records/context.ts';
import { damagedSegments } from '../records/damage.ts';
import { openMoves } from '../records/move-rows.ts';
import { nameClasses, namesIn, namesUnknown } from '../records/name-places.ts';
import { placementClasses, segmentsIn } from '../records/shard-index.ts';
import { toleratesWithout } from './repair/due.ts';
import { standingOf } from './repair/names.ts';
import { promised } from './repair/short.ts';
import { scrubStates } from './scrub/state.ts';

/** What is stored survives, by the index of shards: as far as is known without asking a provider. */
export interface Survival {
  /** Segments by the failure domains that may still vanish; −1: it is too late for them. Those that survive least first. */
  readonly segments: readonly { readonly tolerates: number; readonly count: number }[];
  /** The fewest losses that one of them survives; undefined where nothing is stored. */
  readonly least: number | undefined;
  /** Segments with shards at providers that are gone for good: they are to be repaired. */
  readonly due: number;
  /** Segments that survive fewer losses than was certified when they were put. */
  readonly short: number;
  /** There was more of something than was counted. */
  readonly more: boolean;
}

/** What was found missing or rotten, and is not mended yet. */
export interface DamageStatus {
  readonly segments: number;
  /** Packs, and copies of manifest nodes, by what is wrong with them. */
  readonly missing: number;
  readonly corrupt: number;
  /** When the first of it was found, in milliseconds since 1970. */
  readonly oldestMs: number | undefined;
}

/** Where the copies of names are, as far as is noted. */
export interface NamesStatus {
  /** Names with copies at providers that are gone for good: they are to be repaired. */
  readonly due: number;
  /** Names with copies in fewer failure domains than their objects survive the loss of, and one. */
  readonly short: number;
  /** Names of which a copy is to be deleted where it was. */
  readonly leaving: number;
  /** Names of which nobody has noted yet where their copies are. */
  readonly unknown: number;
  /** There was more of something than was counted. */
  readonly more: boolean;
}

/** How far scrubs are, of the division into parts that was worked at last. */
export interface ScrubStatus {
  /** Into how many parts everything is divided, and of how many of them a scrub was done. */
  readonly of: number;
  readonly done: number;
  /** When one was done last, and when that was of the part that was done the longest ago; in milliseconds since 1970. */
  readonly lastMs: number;
  readonly oldestMs: number;
}

/** Segments, notes and moves that are counted. */
const MAX_COUNTED = 20_000;

/**
 * What the segments survive, from how they are placed: whole classes at once, those that survive least first.
 * @param lost providers that are gone for good.
 */
export async function survivalOf(
  context: RecordsContext,
  lost: ReadonlySet<string>,
  options: AbortOptions = {},
): Promise<Survival> {
  const providers = context.directory.all();
  const classes: { readonly id: string; readonly tolerates: number; readonly isDue: boolean }[] = [];
  for await (const one of placementClasses(context, options)) {
    throwIfAborted(options.signal, 'status');
    const isDue = one.maps.some((map) => map.some((id) => lost.has(id)));
    classes.push({ id: one.id, tolerates: toleratesWithout(one, providers, lost), isDue });
  }
  const counts = new Map<number, number>();
  let [left, due, short, more] = [MAX_COUNTED, 0, 0, false];
  for (const { id, tolerates, isDue } of classes.sort((a, b) => a.tolerates - b.tolerates)) {
    // One of each class is looked at, however many there are.
    let room = Math.max(1, left);
    for await (const { manifest } of segmentsIn(context, id, { ...options, limit: room + 1 })) {
      if (room-- === 0) {
        more = true;
        break;
      }
      left--;
      counts.set(tolerates, (counts.get(tolerates) ?? 0) + 1);
      if (isDue) due++;
      if (tolerates < (await promised(context, manifest, options))) short++;
    }
  }
  const segments = [...counts].map(([tolerates, count]) => ({ tolerates, count }));
  return { segments, least: segments[0]?.tolerates, due, short, more };
}

export async function damageStatus(
  context: RecordsContext,
  options: AbortOptions = {},
): Promise<DamageStatus> {
  const problems = { missing: 0, corrupt: 0 };
  let segments = 0;
  let oldestMs: number | undefined;
  for await (const { notes } of damagedSegments(context, options)) {
    if (segments++ === MAX_COUNTED) break;
    for (const { problem, sinceMs } of notes) {
      problems[problem]++;
      oldestMs = Math.min(sinceMs, oldestMs ?? sinceMs);
    }
  }
  return { segments, ...problems, oldestMs };
}

/** Packs on their way, and packs that are deleted once nobody reads them. */
export async function moveStatus(
  { engine }: Pick<RecordsContext, 'engine'>,
  options: AbortOptions = {},
): Promise<{ readonly intended: number; readonly leaving: number }> {
  let [intended, leaving] = [0, 0];
  for await (const { row } of openMoves(engine, '', options)) {
    if (row?.state === 'leaving') leaving++;
    else intended++;
    if (intended + leaving === MAX_COUNTED) break;
  }
  return { intended, leaving };
}

/** By the records alone: whole classes at once, but for counting. */
export async function namesStatus(
  context: RecordsContext,
  lost: ReadonlySet<string>,
  options: AbortOptions = {},
): Promise<NamesStatus> {
  const sum = { due: 0, short: 0, leaving: 0 };
  let [left, more] = [MAX_COUNTED, false];
  for await (const { id, needed, at, leaving } of nameClasses(context, options)) {
    const { domains, isWhole } = standingOf(context, { at }, lost);
    const is = { due: needed > 0 && !isWhole, short: domains < needed, leaving: leaving.length > 0 };
    if (!is.due && !is.short && !is.leaving) continue;
    // One of each class is looked at, however many there are.
    const room = Math.max(1, left);
    let count = 0;
    for await (const _ of namesIn(context, id, { ...options, limit: room + 1 })) count++;
    if (count > room) more = true;
    left -= count;
    for (const what of ['due', 'short', 'leaving'] as const) if (is[what]) sum[what] += Math.min(count, room);
  }
  const unknown = await namesUnknown(context, { ...options, limit: MAX_COUNTED });
  return { ...sum, unknown, more };
}

/** Undefined: none was ever done. */
export async function scrubStatus(
  { engine }: Pick<RecordsContext, 'engine'>,
  options: AbortOptions = {},
): Promise<ScrubStatus | undefined> {
  const divisions = new Map<number, number[]>();
  for await (const { subset, state } of scrubStates(engine, options)) {
    const { finishedMs } = state;
    if (finishedMs !== undefined) entryOf(divisions, subset.of, () => []).push(finishedMs);
  }
  const all = [...divisions].map(([of, times]) => {
    return { of, done: times.length, lastMs: Math.max(...times), oldestMs: Math.min(...times) };
  });
  return all.sort((a, b) => b.lastMs - a.lastMs)[0];
}
