import type { AbortOptions } from '../core/abort.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import { equalBytes, toHex, utf8Decode, utf8Encode } from '../core/bytes.ts';
import { isCount } from '../core/counts.ts';
import { isHoldfastError } from '../core/errors.ts';
import type { BatchOp, Precondition } from '../engine/engine.ts';
import type { Pointer } from '../manifest/pointer.ts';
import { isSlotName } from '../providers/adapter.ts';
import type { RecordsContext } from './context.ts';
import { domainsWanted } from './manifests.ts';
import { NAMES_TABLE } from './name-record.ts';
import { isNameKey } from './slots.ts';

/** `<class>/<name key>` → where the copies of a name are, JSON. Derived. See docs/format/records.md. */
const PLACES_TABLE = 'name_places';
/** `<name key>` → the class that its row stands under. */
const CLASS_TABLE = 'name_class';

/** Where the copies of names are that lie alike. */
export interface CopiesAt {
  /** Failure domains in which there are to be copies; 0 for a name that was removed. */
  readonly needed: number;
  /** Providers whose slot holds the version that the row is of, ascending. */
  readonly at: readonly string[];
  /** Providers whose slot is to be deleted, and counts for nothing; ascending. */
  readonly leaving: readonly string[];
}

export interface NamePlaces extends CopiesAt {
  readonly nameKey: string;
  /** The name's slot, which only who has the key can tell from the name. */
  readonly slot: string;
  /** BLAKE3 of the sealed pointer whose copies these are. */
  readonly of: string;
}

/** A row as it is stored. */
export interface NamePlacesRow extends NamePlaces {
  /** That it is still so: what is written for it has these as preconditions. */
  readonly holds: readonly Precondition[];
}

export interface NameClass extends CopiesAt {
  readonly id: string;
}

type PlacesContext = Pick<RecordsContext, 'engine' | 'blake3'>;

export const hashOfSealed = ({ blake3 }: { readonly blake3: Blake3 }, sealed: Uint8Array): string =>
  toHex(blake3.hash(sealed));

const MAX_ROUNDS = 8;
const CLASS_ID = /^[0-9a-f]{16}$/;

/** What a writer found of a name's copies. */
interface FoundCopies {
  readonly nameKey: string;
  readonly slot: string;
  readonly sealed: Uint8Array;
  /** Undefined: as many as were needed before. */
  readonly needed: number | undefined;
  /** Providers that are known to hold it; those that were known before and hold the same stay. */
  readonly held: readonly string[];
}

/**
 * Notes where the copies of a name are, unless the name stands for another version by now: whoever changed it notes that.
 * Not flushed: what a power cut takes back is found again.
 */
async function recordCopies(context: PlacesContext, found: FoundCopies): Promise<void> {
  const { nameKey, slot, sealed, held } = found;
  const of = hashOfSealed(context, sealed);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const before = await placesOfName(context, nameKey);
    const row = before.row;
    const next: NamePlaces = {
      ...{ nameKey, slot, of },
      needed: found.needed ?? row?.needed ?? 0,
      at: sorted(row?.of === of ? [...row.at, ...held] : held),
      leaving: sorted(row?.leaving.filter((id) => !held.includes(id)) ?? []),
    };
    if (row !== undefined && isSame(row, next)) return;
    const isStanding = { table: NAMES_TABLE, key: nameKey, expected: sealed };
    if (await context.engine.batch(opsOf(context, row, next), [...before.holds, isStanding])) return;
    const now = await context.engine.table(NAMES_TABLE).get(nameKey);
    if (now === undefined || !equalBytes(now, sealed)) return;
  }
}

/**
 * The same, of a pointer: so that those who have no key can copy it too, when a provider is lost.
 * @param needed failure domains; 0 where that is not known: then its object tells.
 */
export async function noteCopies(
  context: RecordsContext,
  { pointer, sealed }: { readonly pointer: Pointer; readonly sealed: Uint8Array },
  { needed, held }: { readonly needed: number; readonly held: readonly string[] },
): Promise<void> {
  const { keys } = context;
  const [nameKey, slot] = [keys.nameKey(pointer.name), keys.slotName(pointer.name)];
  const { manifest } = pointer;
  const domains =
    manifest === undefined ? 0 : needed || (await domainsWanted(context, manifest)) || undefined;
  await recordCopies(context, { nameKey, slot, sealed, needed: domains, held });
}

/** What is to be written in place of a row; its `holds` are the preconditions. */
export const movedCopies = (context: PlacesContext, row: NamePlacesRow, next: CopiesAt): BatchOp[] =>
  opsOf(context, row, { ...row, ...next, at: sorted(next.at), leaving: sorted(next.leaving) });

/** What is to be written when a name is forgotten. */
export async function forgottenCopies(context: PlacesContext, nameKey: string): Promise<BatchOp[]> {
  const { row } = await placesOfName(context, nameKey);
  const ops: BatchOp[] = [{ table: CLASS_TABLE, key: nameKey, value: undefined }];
  if (row !== undefined) ops.push({ table: PLACES_TABLE, key: keyOf(context, row), value: undefined });
  return ops;
}

/** The row of a name, if it has one that can be read, and what must hold for it to be replaced. */
export async function placesOfName(
  context: PlacesContext,
  nameKey: string,
  options: AbortOptions = {},
): Promise<{ readonly row: NamePlacesRow | undefined; readonly holds: readonly Precondition[] }> {
  const classId = await readable(context.engine.table(CLASS_TABLE).get(nameKey, options));
  // One that is damaged is only written over.
  if (classId === 'damaged') return { row: undefined, holds: [] };
  const inClass = { table: CLASS_TABLE, key: nameKey, expected: classId };
  if (classId === undefined) return { row: undefined, holds: [inClass] };
  const key = `${utf8Decode(classId)}/${nameKey}`;
  const stored = await readable(context.engine.table(PLACES_TABLE).get(key, options));
  if (stored === 'damaged') return { row: undefined, holds: [inClass] };
  const holds = [inClass, { table: PLACES_TABLE, key, expected: stored }];
  const places = stored && placesIn(context, key, stored);
  return { row: places && { ...places, holds }, holds };
}

/** Names of which it is not noted where their copies are; looks at so many names at most. It takes no key. */
export async function namesUnknown(
  context: PlacesContext,
  { limit, signal }: AbortOptions & { readonly limit?: number | undefined } = {},
): Promise<number> {
  const names = context.engine.table(NAMES_TABLE).entries({ signal, limit, onDamaged: () => {} });
  const noted = context.engine.table(CLASS_TABLE).entries({ signal, onDamaged: () => {} });
  const its = noted[Symbol.asyncIterator]();
  let unknown = 0;
  let next = await its.next();
  for await (const [nameKey] of names) {
    while (!next.done && next.value[0] < nameKey) next = await its.next();
    if (next.done || next.value[0] !== nameKey) unknown++;
  }
  await its.return?.();
  return unknown;
}

/**
 * Every class that has names: one look at each, however many names it has.
 * @throws HoldfastError `Aborted`; what the engine throws, but for damaged rows.
 */
export async function* nameClasses(
  context: PlacesContext,
  options: AbortOptions = {},
): AsyncGenerator<NameClass> {
  const table = context.engine.table(PLACES_TABLE);
  for (let gte: string | undefined = ''; gte !== undefined; ) {
    let next: string | undefined;
    const damaged: string[] = [];
    const onDamaged = (key: string): void => void damaged.push(key);
    for await (const [key, stored] of table.entries({ ...options, gte, onDamaged })) {
      const places = placesIn(context, key, stored);
      if (places === undefined) {
        damaged.push(key);
        continue;
      }
      const id = key.slice(0, key.indexOf('/'));
      const { needed, at, leaving } = places;
      yield { id, needed, at, leaving };
      // Behind all of the class.
      next = `${id}0`;
      break;
    }
    await drop(context, damaged);
    gte = next;
  }
}

interface InClassOptions extends AbortOptions {
  /** Begins behind this name key. */
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

/** Names of a class. @throws HoldfastError `Aborted`; what the engine throws, but for damaged rows. */
export async function* namesIn(
  context: PlacesContext,
  classId: string,
  { after, limit = Number.POSITIVE_INFINITY, signal }: InClassOptions = {},
): AsyncGenerator<NamePlaces> {
  const damaged: string[] = [];
  const onDamaged = (key: string): void => void damaged.push(key);
  const prefix = `${classId}/`;
  const from = after === undefined ? {} : { gte: `${prefix}${after}` };
  let left = limit;
  if (left <= 0) return;
  const rows = context.engine.table(PLACES_TABLE).entries({ ...from, prefix, signal, onDamaged });
  for await (const [key, stored] of rows) {
    const places = placesIn(context, key, stored);
    if (places?.nameKey === after && after !== undefined) continue;
    // Damage may have left one that its name has another instead of.
    if (places === undefined || !(await isOf(context, places.nameKey, classId))) damaged.push(key);
    else {
      yield places;
      if (--left === 0) break;
    }
  }
  await drop(context, damaged);
}

async function isOf({ engine }: PlacesContext, nameKey: string, classId: string): Promise<boolean> {
  const its = await readable(engine.table(CLASS_TABLE).get(nameKey));
  return its instanceof Uint8Array && utf8Decode(its) === classId;
}

/** They are found again by who has the key. */
async function drop({ engine }: PlacesContext, keys: readonly string[]): Promise<void> {
  for (const key of keys) {
    const row: BatchOp = { table: PLACES_TABLE, key, value: undefined };
    const [id, nameKey = ''] = key.split('/') as [string, string?];
    const its = { table: CLASS_TABLE, key: nameKey };
    const both = [row, { ...its, value: undefined }];
    const whole = isNameKey(nameKey)
      ? await engine.batch(both, [{ ...its, expected: utf8Encode(id) }]).catch(() => false)
      : false;
    // The name has a row elsewhere.
    if (!whole) await engine.batch([row]).catch(() => {});
  }
}

function opsOf(context: PlacesContext, before: NamePlaces | undefined, next: NamePlaces): BatchOp[] {
  const [old, key] = [before && keyOf(context, before), keyOf(context, next)];
  const { nameKey, slot, of, needed, at, leaving } = next;
  const left = leaving.length === 0 ? {} : { leaving };
  const value = utf8Encode(JSON.stringify({ v: 1, slot, of, needed, at, ...left }));
  const ops: BatchOp[] = [
    { table: PLACES_TABLE, key, value },
    { table: CLASS_TABLE, key: nameKey, value: utf8Encode(key.slice(0, key.indexOf('/'))) },
  ];
  if (old !== undefined && old !== key) ops.push({ table: PLACES_TABLE, key: old, value: undefined });
  return ops;
}

function keyOf({ blake3 }: PlacesContext, { nameKey, needed, at, leaving }: NamePlaces): string {
  const alike = utf8Encode(JSON.stringify([needed, at, leaving]));
  return `${toHex(blake3.hash(alike).subarray(0, 8))}/${nameKey}`;
}

/** Undefined for a row that cannot be read, or stands under another class than its own. */
function placesIn(context: PlacesContext, key: string, stored: Uint8Array): NamePlaces | undefined {
  const [classId, nameKey] = key.split('/');
  if (!CLASS_ID.test(classId!) || nameKey === undefined || !isNameKey(nameKey)) return undefined;
  try {
    const {
      v,
      slot,
      of,
      needed,
      at,
      leaving = [],
    } = JSON.parse(utf8Decode(stored)) as Record<string, unknown>;
    const right =
      v === 1 &&
      typeof slot === 'string' &&
      isSlotName(slot) &&
      typeof of === 'string' &&
      isCount(needed) &&
      isIds(at) &&
      isIds(leaving);
    const places = right ? { nameKey, slot, of, needed, at, leaving } : undefined;
    return places && keyOf(context, places) === key ? places : undefined;
  } catch {
    return undefined;
  }
}

const isIds = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length <= 1024 && value.every((id) => typeof id === 'string');

const sorted = (ids: readonly string[]): string[] => [...new Set(ids)].sort();

const isSame = (a: NamePlaces, b: NamePlaces): boolean =>
  a.slot === b.slot && a.of === b.of && JSON.stringify(shape(a)) === JSON.stringify(shape(b));

const shape = ({ needed, at, leaving }: CopiesAt): unknown => [needed, at, leaving];

async function readable(
  reading: Promise<Uint8Array | undefined>,
): Promise<Uint8Array | undefined | 'damaged'> {
  return reading.catch((error: unknown) => {
    if (isHoldfastError(error, 'Corrupt')) return 'damaged' as const;
    throw error;
  });
}
