import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { utf8Decode } from '../core/bytes.ts';
import { isHoldfastError } from '../core/errors.ts';
import type { BatchOp, Engine, Precondition } from '../engine/engine.ts';
import { decodeRoot } from '../manifest/root.ts';
import { DamageLog } from '../object/damage.ts';
import { publicSegments } from '../object/manifest-tree.ts';
import { packsOf, type SegmentView } from '../object/places.ts';
import { claimedBytes } from './claims.ts';
import type { RecordsContext } from './context.ts';
import { readJournals } from './journal.ts';
import { loadRoot, storedManifests, USAGE_TABLE, type Usage, usageEntry } from './manifests.ts';
import { openMoves } from './move-rows.ts';
import { type Poison, PoisonLog } from './poison.ts';

/** Adds what the packs of a segment take up. */
export function addPacks(usage: Map<string, number>, view: SegmentView): void {
  for (const { provider, length } of packsOf(view)) usage.set(provider, (usage.get(provider) ?? 0) + length);
}

/** Writes what was stored and deleted, before it is reported; what cannot be written is counted anew later. */
export async function flushUsage(context: RecordsContext): Promise<void> {
  await context.directory.flush().catch(() => recountIsDue(context));
}

/**
 * Corrects what is stored of the providers' usage, where that is due and nobody is at work just now.
 * @returns objects that are damaged: they are not counted, and what they take up cannot be told.
 */
export async function recountUsage(context: RecordsContext, options: AbortOptions = {}): Promise<Poison> {
  const poison = new PoisonLog(USAGE_TABLE);
  const due = await choreNoted(context, RECOUNT, options);
  if (due === undefined) return poison;
  const done = await context.directory.recount(() => countUsage(context, poison, options));
  if (done) await recountDone(context, due);
  return poison;
}

/** Undefined when it cannot be told: a put or removal that is under way is counted by halves. */
async function countUsage(
  context: RecordsContext,
  poison: PoisonLog,
  options: AbortOptions,
): Promise<Usage | undefined> {
  // One that cannot be read may never be ended, and is not waited for.
  const isQuiet = async (): Promise<boolean> =>
    (await readJournals(context, options)).length === 0 && !(await isMoving(context, options));
  if (!(await isQuiet())) return undefined;
  const sums = new Map<string, number>();
  const add = (provider: string, bytes: number): void => {
    sums.set(provider, (sums.get(provider) ?? 0) + bytes);
  };
  for await (const { manifest } of storedManifests(context, { ...options, onDamaged: poison.add })) {
    throwIfAborted(options.signal, 'counting');
    try {
      for (const [provider, bytes] of await usageOf(context, manifest, options)) add(provider, bytes);
    } catch (error) {
      // One that is only out of reach is counted another time, and all others with it.
      if (!DAMAGED.some((kind) => isHoldfastError(error, kind))) throw error;
      poison.add(manifest);
    }
  }
  for await (const { provider, bytes } of claimedBytes(context, options)) add(provider, bytes);
  for await (const { blob, row } of openMoves(context.engine, '', options)) {
    if (row?.state === 'leaving') add(blob.provider, row.bytes);
  }
  return (await isQuiet()) ? sums : undefined;
}

/** Of what is being stored nobody can tell whether it is counted. */
async function isMoving({ engine }: RecordsContext, options: AbortOptions): Promise<boolean> {
  for await (const { row } of openMoves(engine, '', options)) if (row?.state === 'intended') return true;
  return false;
}

/**
 * What an object takes up once packs came to it and others went. Nothing where that is to be counted from its nodes anyway.
 * @param changes bytes by provider.
 */
export async function usageChange(
  { engine }: RecordsContext,
  manifest: BlobAddress,
  changes: readonly { readonly provider: string; readonly bytes: number }[],
): Promise<{ readonly ops: readonly BatchOp[]; readonly preconditions: readonly Precondition[] }> {
  const expected = await recordedUsage(engine, manifest);
  const usage = expected && usageIn(expected);
  if (usage === undefined) return { ops: [], preconditions: [] };
  const changed = new Map(usage);
  for (const { provider, bytes } of changes) {
    changed.set(provider, Math.max(0, (changed.get(provider) ?? 0) + bytes));
  }
  for (const [provider, bytes] of changed) if (bytes === 0) changed.delete(provider);
  return {
    ops: [usageEntry(manifest, changed)],
    preconditions: [{ table: USAGE_TABLE, key: manifest, expected }],
  };
}

/** One that the engine cannot read is made anew when it is counted. */
async function recordedUsage(
  engine: Engine,
  manifest: BlobAddress,
  options: AbortOptions = {},
): Promise<Uint8Array | undefined> {
  try {
    return await engine.table(USAGE_TABLE).get(manifest, options);
  } catch (error) {
    if (!isHoldfastError(error, 'Corrupt')) throw error;
    return undefined;
  }
}

const DAMAGED = ['Corrupt', 'NotFound', 'HashMismatch'] as const;

async function usageOf(
  context: RecordsContext,
  manifest: BlobAddress,
  options: AbortOptions,
): Promise<Usage> {
  const recorded = await recordedUsage(context.engine, manifest, options);
  const known = recorded && usageIn(recorded);
  if (known !== undefined) return known;
  // As earlier versions left it, or somebody who was killed, or a disk that rots.
  const damage = new DamageLog();
  const record = decodeRoot(await loadRoot(context, manifest, damage, options));
  const usage = new Map<string, number>();
  const segments = publicSegments(context, { manifest, record }, damage, options.signal);
  for await (const view of segments) addPacks(usage, view);
  await context.engine.batch([usageEntry(manifest, usage)]);
  return usage;
}

function usageIn(stored: Uint8Array): Usage | undefined {
  try {
    const { v, bytes } = JSON.parse(utf8Decode(stored)) as { v: unknown; bytes: Record<string, number> };
    const usage = new Map(Object.entries(bytes));
    const right = v === 1 && [...usage.values()].every((count) => Number.isSafeInteger(count) && count >= 0);
    return right ? usage : undefined;
  } catch {
    return undefined;
  }
}

/** Chores that are due, by name; the value is another whenever one becomes due anew. */
export const UPKEEP_TABLE = 'upkeep';
const RECOUNT = 'recount';

/** For whoever finds that somebody ended before what he did was written down. */
export async function recountIsDue({ engine, random }: RecordsContext): Promise<void> {
  await engine.table(UPKEEP_TABLE).put(RECOUNT, random(8));
}

/** What stands there; what is damaged is written over, and becomes due anew. */
export async function choreNoted(
  { engine, random }: Pick<RecordsContext, 'engine' | 'random'>,
  key: string,
  options: AbortOptions = {},
): Promise<Uint8Array | undefined> {
  const table = engine.table(UPKEEP_TABLE);
  try {
    return await table.get(key, options);
  } catch (error) {
    if (!isHoldfastError(error, 'Corrupt')) throw error;
    const anew = random(8);
    await table.put(key, anew, options);
    return anew;
  }
}

/** @param due what was noted: it may have become due anew meanwhile. */
async function recountDone({ engine }: RecordsContext, due: Uint8Array): Promise<void> {
  await engine.table(UPKEEP_TABLE).compareAndSet(RECOUNT, due, undefined);
}
