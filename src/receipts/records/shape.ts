import { concatBytes, utf8Encode } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';
import { tomlKey } from '../../core/fields.ts';
import {
  type Cursor,
  decodeText,
  type FieldType,
  head,
  lay,
  literal,
  MAP,
  malformed,
  pass,
  readHead,
  skip,
  startsWith,
  TEXT,
} from './fields.ts';

/**
 * Flat records in canonical CBOR, read and written for a fixed set of fields: a million of them are read when an epoch is
 * closed. The bytes are those that the general encoder of `manifest` gives, which a test compares.
 */

/** A record has no more bytes. */
const MAX_RECORD_BYTES = 4_096;

const MAX_FIELDS = 23;

type FieldTypes<T> = { readonly [K in keyof T]-?: FieldType<Exclude<T[K], undefined>> };
type OptionalKeys<T> = { [K in keyof T]-?: undefined extends T[K] ? K : never }[keyof T];

interface Field {
  readonly name: string;
  readonly key: Uint8Array;
  readonly type: FieldType<unknown>;
  readonly optional: boolean;
}

/** Where a record is laid while it is encoded, which nothing interrupts. */
const DESK = new Uint8Array(MAX_RECORD_BYTES);

/** The records with these fields, `v` besides. `pathHash` stands in the bytes as `path_hash`. */
export class Shape<T extends object> {
  readonly #fields: readonly Field[];
  readonly #all: readonly boolean[];

  constructor(types: FieldTypes<T>, optional: readonly OptionalKeys<T>[] = []) {
    const all: Record<string, FieldType<unknown>> = { v: literal(1), ...(types as object) };
    this.#fields = Object.entries(all)
      .map(([name, type]) => {
        const key = utf8Encode(tomlKey(name));
        return {
          name,
          key: concatBytes(head(TEXT, key.length), key),
          type,
          optional: optional.includes(name as never),
        };
      })
      // The head of a key comes first and says its length.
      .sort((a, b) => Buffer.compare(a.key, b.key));
    if (this.#fields.length > MAX_FIELDS) throw new TypeError('too many fields for one head byte');
    this.#all = this.chosen((name) => name !== 'v');
  }

  /** @param without left out, though the record has it. @throws TypeError for a record that is none of this shape. */
  encode(record: T, without?: keyof T): Uint8Array {
    const writer = { bytes: DESK, at: 1 };
    let count = 0;
    for (const { name, key, type, optional } of this.#fields) {
      const value = name === 'v' ? 1 : record[name as keyof T];
      if (name === without || (value === undefined && optional)) continue;
      if (value === undefined) throw new TypeError(`a record without ${name}`);
      lay(writer, key);
      type.write(writer, value);
      count++;
    }
    DESK[0] = (MAP << 5) | count;
    return DESK.slice(0, writer.at);
  }

  /** Which of the fields are meant, in the order of the format. */
  chosen(isMeant: (name: string) => boolean): readonly boolean[] {
    return this.#fields.map(({ name }) => isMeant(name));
  }

  /**
   * The record at the cursor, which is then behind it. Byte strings are views.
   * @param only fields to be in it, {@link chosen}; the others are looked at all the same. @throws HoldfastError `Corrupt`.
   */
  read(cursor: Cursor, only: readonly boolean[] = this.#all): T {
    const start = cursor.at;
    let left = readHead(cursor, MAP);
    const record: Record<string, unknown> = {};
    for (let i = 0; i < this.#fields.length; i++) {
      const { name, key, type, optional } = this.#fields[i]!;
      if (!startsWith(cursor, key)) {
        if (optional) continue;
        throw malformed(`no field ${name} in its place`);
      }
      cursor.at += key.length;
      if (only[i]) record[name] = type.read(cursor);
      else type.pass(cursor);
      left--;
    }
    if (left !== 0) throw malformed('a field that does not belong there');
    if (cursor.at - start > MAX_RECORD_BYTES) throw malformed(`more than ${MAX_RECORD_BYTES} bytes`);
    return record as T;
  }
}

const KIND = Uint8Array.of(0x64, 0x6b, 0x69, 0x6e, 0x64);

/** The `kind` of the record at the cursor, which stays there. @throws HoldfastError `Corrupt`. */
export function kindAt({ bytes, at }: Cursor): string {
  const cursor = { bytes, at };
  for (let left = readHead(cursor, MAP); left > 0; left--) {
    const isKind = startsWith(cursor, KIND);
    pass(cursor, readHead(cursor, TEXT));
    if (isKind) {
      const length = Math.min(readHead(cursor, TEXT), MAX_RECORD_BYTES);
      pass(cursor, length);
      return decodeText(bytes, cursor.at - length, cursor.at);
    }
    skip(cursor);
  }
  throw malformed('it has no kind');
}

/**
 * Records that stand one after the other, told apart by their heads alone; from where they cannot be, the rest is the last.
 * @returns undefined for more than `max`.
 */
export function sequenceOf(bytes: Uint8Array, max: number): Uint8Array[] | undefined {
  const records: Uint8Array[] = [];
  const cursor = { bytes, at: 0 };
  while (cursor.at < bytes.length) {
    if (records.length === max) return undefined;
    const from = cursor.at;
    try {
      for (let left = readHead(cursor, MAP); left > 0; left--) {
        pass(cursor, readHead(cursor, TEXT));
        skip(cursor);
      }
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      cursor.at = bytes.length;
    }
    records.push(bytes.subarray(from, cursor.at));
  }
  return records;
}

/**
 * Where the values of some fields of the record at the cursor begin, which is then behind the record; −1 where it has none
 * of them. Whether the record is right it does not tell.
 * @param keys as they are encoded. @param places filled. @throws HoldfastError `Corrupt` where it cannot be gone over.
 */
export function placesOf(cursor: Cursor, keys: readonly Uint8Array[], places: number[]): void {
  places.fill(-1);
  for (let left = readHead(cursor, MAP); left > 0; left--) {
    let found = 0;
    while (found < keys.length && !startsWith(cursor, keys[found]!)) found++;
    pass(cursor, readHead(cursor, TEXT));
    if (found < keys.length) places[found] = cursor.at;
    skip(cursor);
  }
}

/** A field's name as it is encoded. */
export const keyOf = (name: string): Uint8Array => concatBytes(head(TEXT, name.length), utf8Encode(name));

/** A record without one of its fields, which it has. @param key as it is encoded. @throws HoldfastError `Corrupt`. */
export function withoutField(
  record: Uint8Array,
  key: Uint8Array,
): readonly [Uint8Array, Uint8Array, Uint8Array] {
  const cursor = { bytes: record, at: 0 };
  for (let left = readHead(cursor, MAP); left > 0; left--) {
    const from = cursor.at;
    const isIt = startsWith(cursor, key);
    pass(cursor, readHead(cursor, TEXT));
    skip(cursor);
    if (isIt) return [Uint8Array.of(record[0]! - 1), record.subarray(1, from), record.subarray(cursor.at)];
  }
  throw malformed('a field is missing');
}
