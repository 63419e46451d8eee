import { equalBytes } from '../core/bytes.ts';
import { type ErrorCode, HoldfastError } from '../core/errors.ts';
import {
  type BatchOp,
  type EntriesOptions,
  MAX_BATCH_BYTES,
  MAX_BATCH_ENTRIES,
  MAX_KEY_BYTES,
  MAX_VALUE_BYTES,
  type Precondition,
} from './engine.ts';

/** What the name of a schema may be: it stands in statements as it is. */
export const SCHEMA_NAME: RegExp = /^[a-z_][a-z0-9_]{0,62}$/;

const TABLE_NAME = /^[a-z][a-z0-9_]{0,62}$/;
const LONE_SURROGATE = /\p{Surrogate}/u;

export function checkTableName(name: string): string {
  if (typeof name === 'string' && TABLE_NAME.test(name)) return name;
  throw malformed('engine_bad_table', 'a table name is 1 to 63 of a-z, 0-9 and _, starting with a letter');
}

/** A key is 1 to {@link MAX_KEY_BYTES} bytes of well-formed text without NUL, which every engine can hold and order. */
export function checkKey(key: string): string {
  if (typeof key !== 'string' || key.length === 0)
    throw malformed('engine_bad_key', 'a key is non-empty text');
  checkText(key, 'engine_bad_key', 'a key');
  return key;
}

export function checkValue(value: Uint8Array): Uint8Array {
  if (!(value instanceof Uint8Array)) throw malformed('engine_bad_value', 'a value is a Uint8Array');
  if (value.length > MAX_VALUE_BYTES) {
    throw malformed('engine_bad_value', `a value has at most ${MAX_VALUE_BYTES} bytes, not ${value.length}`);
  }
  return value;
}

/** @throws HoldfastError as {@link Engine.batch} says of what is malformed or too large. */
export function checkBatch(ops: readonly BatchOp[], preconditions: readonly Precondition[]): void {
  if (ops.length + preconditions.length > MAX_BATCH_ENTRIES) {
    const limit = `a batch has at most ${MAX_BATCH_ENTRIES} operations and preconditions`;
    throw malformed('engine_bad_batch', limit);
  }
  let bytes = 0;
  const check = (table: string, key: string, value: Uint8Array | undefined): void => {
    checkTableName(table);
    bytes += checkKey(key).length + (value === undefined ? 0 : checkValue(value).length);
  };
  const written = new Set<string>();
  for (const { table, key, value } of ops) {
    check(table, key, value);
    written.add(placeOf(table, key));
  }
  for (const { table, key, expected } of preconditions) check(table, key, expected);
  if (written.size < ops.length) throw malformed('engine_bad_batch', 'a batch writes one key twice');
  if (bytes > MAX_BATCH_BYTES) {
    throw malformed('engine_bad_batch', `a batch has at most ${MAX_BATCH_BYTES} bytes`);
  }
}

/** Tells entries of all tables apart. */
export const placeOf = (table: string, key: string): string => `${table}:${key}`;

/** Undefined stands for "no entry", which differs from an empty value. */
export function sameValue(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return equalBytes(a, b);
}

export function checkRange(options: EntriesOptions): EntriesOptions {
  for (const name of ['gte', 'lt', 'prefix'] as const) {
    const bound = options[name];
    if (bound === undefined) continue;
    if (typeof bound !== 'string') throw malformed('engine_bad_range', `${name} is text`);
    checkText(bound, 'engine_bad_range', name);
  }
  const { limit } = options;
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0)) {
    throw malformed('engine_bad_range', 'limit is a whole number, zero or more');
  }
  return options;
}

function checkText(text: string, code: ErrorCode, what: string): void {
  if (text.includes('\0') || LONE_SURROGATE.test(text)) {
    throw malformed(code, `${what} is well-formed text without NUL`);
  }
  if (text.length > MAX_KEY_BYTES || Buffer.byteLength(text) > MAX_KEY_BYTES) {
    throw malformed(code, `${what} has at most ${MAX_KEY_BYTES} bytes`);
  }
}

const malformed = (code: ErrorCode, message: string): HoldfastError =>
  new HoldfastError('Unexpected', message, { code });

export const engineClosed = (): HoldfastError =>
  new HoldfastError('Unavailable', 'the engine is closed', { code: 'engine_closed', status: 'permanent' });
