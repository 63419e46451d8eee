import type { EntriesOptions } from '../engine.ts';
import { afterPrefix, decodeRecord, recordKey } from '../record.ts';
import type { Parameter, Row } from './session.ts';

export interface Page {
  readonly entries: readonly (readonly [string, Uint8Array])[];
  /** The last key that was read, damaged ones among them. */
  readonly last: string | undefined;
  /** Nothing follows. */
  readonly done: boolean;
}

export type Ask = (statement: string, parameters: readonly Parameter[]) => Promise<readonly Row[]>;

/** Bounds of one page, and so of the memory of both sides. */
const PAGE_ENTRIES = 256;
const PAGE_BYTES = 1024 ** 2;

/** The entries of a range that come after the key `after` in the direction of reading, at most `limit`. */
export async function readPage(
  ask: Ask,
  schema: string,
  table: string,
  options: EntriesOptions,
  after: string | undefined,
  limit: number,
): Promise<Page> {
  const most = Math.min(limit, PAGE_ENTRIES);
  const { low, high, beyond } = bounds(options, after);
  const order = options.reverse === true ? 'DESC' : 'ASC';
  // Of large values no more is read than a page holds, and at least one.
  const statement = `SELECT key, value FROM (
      SELECT key, value, octet_length(value) AS bytes, sum(octet_length(value)) OVER (ORDER BY key ${order}) AS upto FROM (
        SELECT key, value FROM ${schema}.entries WHERE tab = $1 AND key ${beyond ? '>' : '>='} $2 AND key < $3
        ORDER BY key ${order} LIMIT $4
      ) few
    ) page WHERE upto - bytes < ${PAGE_BYTES} ORDER BY key ${order}`;
  const rows = await ask(statement, [table, low, high, most]);
  const entries: (readonly [string, Uint8Array])[] = [];
  let bytes = 0;
  let last: string | undefined;
  for (const row of rows) {
    const key = Buffer.from(row.key as Uint8Array).toString();
    const record = row.value as Uint8Array;
    last = key;
    bytes += record.length;
    const value = valueIn(table, key, record, options.onDamaged);
    if (value !== undefined) entries.push([key, value]);
  }
  return { entries, last, done: rows.length < most && bytes < PAGE_BYTES };
}

function valueIn(
  table: string,
  key: string,
  record: Uint8Array,
  onDamaged: ((key: string) => void) | undefined,
): Uint8Array | undefined {
  try {
    return decodeRecord(recordKey(table, key), record);
  } catch (error) {
    if (onDamaged === undefined) throw error;
    onDamaged(key);
    return undefined;
  }
}

interface Bounds {
  readonly low: Uint8Array;
  readonly high: Uint8Array;
  /** `low` itself is left out. */
  readonly beyond: boolean;
}

function bounds(options: EntriesOptions, after: string | undefined): Bounds {
  const { gte, lt, prefix = '', reverse = false } = options;
  const within = Buffer.from(prefix);
  let low: Uint8Array = within;
  let high = afterPrefix(within);
  if (gte !== undefined) low = later(low, Buffer.from(gte));
  if (lt !== undefined) high = earlier(high, Buffer.from(lt));
  if (after === undefined) return { low, high, beyond: false };
  const seen = Buffer.from(after);
  return reverse ? { low, high: seen, beyond: false } : { low: seen, high, beyond: true };
}

const later = (a: Uint8Array, b: Uint8Array): Uint8Array => (Buffer.compare(a, b) >= 0 ? a : b);
const earlier = (a: Uint8Array, b: Uint8Array): Uint8Array => (Buffer.compare(a, b) <= 0 ? a : b);
