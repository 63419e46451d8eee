import type { EntriesOptions } from '../engine.ts';
import { afterPrefix, decodeRecord, plainKey, recordKey } from '../record.ts';
import type { Database } from './connection.ts';

export interface Page {
  readonly entries: readonly (readonly [string, Uint8Array])[];
  /** The last key that was read, damaged ones among them. */
  readonly last: string | undefined;
  /** Nothing follows. */
  readonly done: boolean;
}

/** Bounds of one page, and so of the time that the database is held and of the memory. */
const PAGE_ENTRIES = 256;
const PAGE_BYTES = 1024 ** 2;

/** The entries of a range that come after the key `after` in the direction of reading, at most `limit`. */
export async function readPage(
  database: Database,
  table: string,
  options: EntriesOptions,
  after: string | undefined,
  limit: number,
): Promise<Page> {
  const most = Math.min(limit, PAGE_ENTRIES);
  const entries: (readonly [string, Uint8Array])[] = [];
  let bytes = 0;
  const iterator = database.iterator({ ...bounds(table, options, after), limit: most });
  let last: string | undefined;
  let read = 0;
  for await (const [stored, record] of iterator) {
    const key = plainKey(table, stored);
    last = key;
    read++;
    const value = valueIn(stored, record, options.onDamaged && (() => options.onDamaged!(key)));
    if (value !== undefined) entries.push([key, value]);
    bytes += record.length;
    if (bytes >= PAGE_BYTES) return { entries, last, done: false };
  }
  return { entries, last, done: read < most };
}

function valueIn(
  stored: Uint8Array,
  record: Uint8Array,
  onDamaged: (() => void) | undefined,
): Uint8Array | undefined {
  try {
    return decodeRecord(stored, record);
  } catch (error) {
    if (onDamaged === undefined) throw error;
    onDamaged();
    return undefined;
  }
}

/** From each table's first entry it goes on behind all of its others. */
export async function tableNames(database: Database): Promise<readonly string[]> {
  const names: string[] = [];
  let from: Uint8Array = Buffer.alloc(0);
  for (;;) {
    const [first] = await database.keys({ gte: from, limit: 1 }).all();
    if (first === undefined) return names;
    const name = Buffer.from(first).toString().split(':', 1)[0]!;
    names.push(name);
    from = afterPrefix(recordKey(name, ''));
  }
}

interface Bounds {
  readonly gte?: Uint8Array;
  readonly gt?: Uint8Array;
  readonly lt: Uint8Array;
  readonly reverse: boolean;
}

function bounds(table: string, options: EntriesOptions, after: string | undefined): Bounds {
  const { gte, lt, prefix = '', reverse = false } = options;
  const within = recordKey(table, prefix);
  let low: Uint8Array = within;
  let high = afterPrefix(within);
  if (gte !== undefined) low = later(low, recordKey(table, gte));
  if (lt !== undefined) high = earlier(high, recordKey(table, lt));
  if (after === undefined) return { gte: low, lt: high, reverse };
  const seen = recordKey(table, after);
  return reverse ? { gte: low, lt: seen, reverse } : { gt: seen, lt: high, reverse };
}

const later = (a: Uint8Array, b: Uint8Array): Uint8Array => (Buffer.compare(a, b) >= 0 ? a : b);
const earlier = (a: Uint8Array, b: Uint8Array): Uint8Array => (Buffer.compare(a, b) <= 0 ? a : b);
