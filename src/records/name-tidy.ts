import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import { toHex, utf8Decode, utf8Encode } from '../core/bytes.ts';
import { asHoldfastError, isHoldfastError } from '../core/errors.ts';
import { type EachOptions, eachAlone, type PieceFailure } from '../core/pieces.ts';
import { entriesFrom } from '../engine/batches.ts';
import { relationOf } from '../manifest/pointer.ts';
import type { RecordsContext } from './context.ts';
import { generationOf } from './generation.ts';
import {
  hashOfSealed,
  movedCopies,
  type NamePlacesRow,
  nameClasses,
  namesIn,
  noteCopies,
  placesOfName,
} from './name-places.ts';
import { NAMES_TABLE, openName } from './name-record.ts';
import { askSlots, dueEntries, readIfIntact, readSlotContent } from './slots.ts';
import { UPKEEP_TABLE } from './usage.ts';

/** In the table of chores: how far all names were gone through; without it that begins anew. */
const PASS = 'names';
/** Names of which it is asked in one run where their copies are. */
const MAX_ASKED = 512;
/** Names looked at before it is noted how far the pass has come. */
const SLICE = 256;
/** Names looked at in each run once all are gone through. */
const SOME = 64;
const PARALLEL = 4;

/** Has all names gone through anew. */
export const namePassBegins = ({ engine }: Pick<RecordsContext, 'engine'>): Promise<void> =>
  engine.table(UPKEEP_TABLE).delete(PASS);

/**
 * Finds out of names where their copies are, where the records do not say: of a vault that was written by an earlier version,
 * that was recovered, or that lost some of its latest records. Goes on where it was; later looks at a few each time.
 * @throws HoldfastError `Aborted`; what the engine throws.
 */
export async function findNamePlaces(context: RecordsContext, options: AbortOptions = {}): Promise<void> {
  const table = context.engine.table(UPKEEP_TABLE);
  let stored = await table.get(PASS, options).catch(whereDamaged);
  let after = stored === undefined ? '' : afterIn(stored);
  let left = MAX_ASKED;
  if (after === END) {
    await lookAt(context, await someNames(context, options), options);
    return;
  }
  while (after !== END && left > 0) {
    const names = await namesAfter(context, after, options);
    left -= await lookAt(context, names, options);
    after = names.length < SLICE ? END : names.at(-1)!;
    const noted = utf8Encode(JSON.stringify({ v: 1, after }));
    // Where it begins anew meanwhile, the next run does.
    if (!(await table.compareAndSet(PASS, stored, noted, options))) return;
    stored = noted;
  }
}

/** Behind all name keys. */
const END = 'end';

function afterIn(stored: Uint8Array): string {
  try {
    const { v, after } = JSON.parse(utf8Decode(stored)) as Record<string, unknown>;
    return v === 1 && typeof after === 'string' ? after : '';
  } catch {
    return '';
  }
}

async function namesAfter(context: RecordsContext, after: string, options: AbortOptions): Promise<string[]> {
  const keys: string[] = [];
  const range = { ...options, gte: after, limit: SLICE + 1, onDamaged: () => {} };
  for await (const [nameKey] of context.engine.table(NAMES_TABLE).entries(range)) {
    if (nameKey !== after && keys.length < SLICE) keys.push(nameKey);
  }
  return keys;
}

async function someNames(context: RecordsContext, options: AbortOptions): Promise<string[]> {
  const keys: string[] = [];
  const from = toHex(context.random(2));
  const entries = entriesFrom(context.engine.table(NAMES_TABLE), '', from, () => {}, options);
  for await (const [nameKey] of entries) {
    if (keys.push(nameKey) === SOME) break;
  }
  return keys;
}

/** @returns of how many the providers were asked. */
async function lookAt(
  context: RecordsContext,
  nameKeys: readonly string[],
  options: AbortOptions,
): Promise<number> {
  let asked = 0;
  const look = async (nameKey: string): Promise<void> => {
    if (await findPlaces(context, nameKey, options)) asked++;
  };
  const failures = await eachAlone(
    context.clock,
    nameKeys,
    (key) => key,
    { ...options, parallel: PARALLEL },
    look,
  );
  throwIfAborted(options.signal, 'finding copies of names');
  for (const { error } of failures) if (error.code.startsWith('engine_')) throw error;
  return asked;
}

/** @returns whether the providers were asked. */
async function findPlaces(context: RecordsContext, nameKey: string, options: AbortOptions): Promise<boolean> {
  const { row } = await placesOfName(context, nameKey, options);
  const sealed = await context.engine.table(NAMES_TABLE).get(nameKey, options).catch(whereDamaged);
  if (sealed === undefined || row?.of === hashOfSealed(context, sealed)) return false;
  const pointer = openName(context, sealed, nameKey);
  const { held } = await askSlots(context, pointer.name, 'the copies of a name', options.signal);
  const holders = [...held].filter(
    ([, its]) => its.version >= pointer.version && its.manifest === pointer.manifest,
  );
  await noteCopies(context, { pointer, sealed }, { needed: 0, held: holders.map(([{ id }]) => id) });
  return true;
}

/** Slots tried in one go. */
const MAX_CLEARED = 256;
/** One call to a provider. */
const CALL_MS = 15_000;

/**
 * Deletes copies of names at providers that are left, once enough are elsewhere; only while this state is the latest. Never
 * rejects.
 */
export async function clearLeftNames(
  context: RecordsContext,
  options: EachOptions = {},
): Promise<readonly PieceFailure[]> {
  const due: { readonly nameKey: string; readonly provider: string }[] = [];
  try {
    for await (const { id, leaving } of nameClasses(context, options)) {
      if (leaving.length === 0) continue;
      for await (const { nameKey } of namesIn(context, id, { ...options, limit: MAX_CLEARED })) {
        for (const provider of leaving) due.push({ nameKey, provider });
      }
      if (due.length >= MAX_CLEARED) break;
    }
    if (due.length === 0) return [];
    const standing = await generationOf(context).standing(options);
    if (standing.state !== 'confirmed') return [];
  } catch (thrown) {
    return [{ piece: 'names', error: asHoldfastError(thrown) }];
  }
  const each = { ...options, eachMs: CALL_MS, parallel: PARALLEL };
  return eachAlone(
    context.clock,
    due,
    ({ provider, nameKey }) => `${provider}/${nameKey}`,
    each,
    ({ provider, nameKey }, signal) => clear(context, nameKey, provider, { signal }),
  );
}

/**
 * First it is noted that the slot is due: whatever comes between, a crash or a put of the name, it is brought up to date again.
 */
async function clear(
  context: RecordsContext,
  nameKey: string,
  provider: string,
  options: AbortOptions,
): Promise<void> {
  const { engine } = context;
  const { row } = await placesOfName(context, nameKey, options);
  const sealed = await engine.table(NAMES_TABLE).get(nameKey, options);
  if (row === undefined || sealed === undefined || !row.leaving.includes(provider)) return;
  if (row.of !== hashOfSealed(context, sealed)) return;
  const isNow = { table: NAMES_TABLE, key: nameKey, expected: sealed };
  const left = leftOps(context, row, provider);
  const its = context.directory.get(provider);
  if (its === undefined) return void (await engine.batch(left, [...row.holds, isNow], options));
  const pointer = openName(context, sealed, nameKey);
  const due = dueEntries([provider], nameKey, pointer.version);
  if (!(await engine.batch(due, [...row.holds, isNow], { ...options, sync: true }))) return;
  const there = await readIfIntact(its.adapter, row.slot, options);
  const held = there && readSlotContent(context, there.bytes, nameKey);
  const isOurs =
    held === undefined || row.of === hashOfSealed(context, held.sealed) || isBefore(context, pointer, held);
  // What may be a fork stays, and is judged when the slot is brought up to date.
  if (isOurs) await its.adapter.deleteSlot(row.slot, options);
  const notDue = isOurs ? dueEntries([provider], nameKey, undefined) : [];
  await engine.batch([...left, ...notDue], [...row.holds, isNow], options);
}

const isBefore = (
  { blake3 }: RecordsContext,
  pointer: Parameters<typeof relationOf>[1],
  held: Parameters<typeof relationOf>[2],
): boolean => relationOf(blake3, pointer, held) === 'follows';

const leftOps = (context: RecordsContext, row: NamePlacesRow, provider: string) =>
  movedCopies(context, row, { ...row, leaving: row.leaving.filter((id) => id !== provider) });

function whereDamaged(error: unknown): undefined {
  if (isHoldfastError(error, 'Corrupt')) return undefined;
  throw error;
}
