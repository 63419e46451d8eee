import { concatBytes, utf8Encode } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';
import { tomlKey } from '../../core/fields.ts';

/**
 * Flat records in canonical CBOR, read and written for a fixed set of fields: a million of them are read when an epoch is
 * closed. The bytes are those that the general encoder of `manifest` gives, which a test compares.
 */

/** A record has no more bytes. */
const MAX_RECORD_BYTES = 4_096;

/** Where in some bytes is read. */
export interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
}

/** Where bytes are laid one after the other. There is room for a record of any shape. */
interface Writer {
  readonly bytes: Uint8Array;
  at: number;
}

export interface FieldType<T> {
  /** @throws TypeError for a value that the format does not have. */
  write(writer: Writer, value: T): void;
  /** @throws HoldfastError `Corrupt`. */
  read(cursor: Cursor): T;
}

type FieldTypes<T> = { readonly [K in keyof T]-?: FieldType<Exclude<T[K], undefined>> };
type OptionalKeys<T> = { [K in keyof T]-?: undefined extends T[K] ? K : never }[keyof T];

export function malformed(why: string): HoldfastError {
  return new HoldfastError('Corrupt', `malformed receipt: ${why}`, { code: 'receipt_malformed' });
}

const MAX_FIELDS = 23;
const [BYTES, TEXT, MAP, SIMPLE] = [2, 3, 5, 7] as const;

export const integer: FieldType<number> = {
  write(writer, value) {
    if (!Number.isSafeInteger(value) || value < 0) throw new TypeError(`not an integer from 0: ${value}`);
    writeHead(writer, 0, value);
  },
  read: (cursor) => readHead(cursor, 0),
};

export const flag: FieldType<boolean> = {
  write(writer, value) {
    writer.bytes[writer.at++] = value ? 0xf5 : 0xf4;
  },
  read(cursor) {
    const byte = cursor.bytes[cursor.at++];
    if (!isFlag(byte)) throw malformed('a field is no boolean');
    return byte === 0xf5;
  },
};

const isFlag = (byte: number | undefined): boolean => byte === 0xf4 || byte === 0xf5;

export const bytesOf = (length: number): FieldType<Uint8Array> => ({
  write(writer, value) {
    if (value.length !== length) throw new TypeError(`not ${length} bytes but ${value.length}`);
    writeHead(writer, BYTES, length);
    lay(writer, value);
  },
  read(cursor) {
    if (readHead(cursor, BYTES) !== length) throw malformed(`a field has not ${length} bytes`);
    return take(cursor, length);
  },
});

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Text of UTF-8. @param max bytes. @param pattern which texts there are; it sees no more than `max`. */
export const textOf = (max: number, pattern: RegExp = /^/): FieldType<string> => ({
  write(writer, value) {
    const encoded = utf8Encode(value);
    if (encoded.length > max || /\p{Surrogate}/u.test(value) || !pattern.test(value))
      throw new TypeError(`not a text of this field: ${JSON.stringify(value.slice(0, 80))}`);
    writeHead(writer, TEXT, encoded.length);
    lay(writer, encoded);
  },
  read(cursor) {
    const length = readHead(cursor, TEXT);
    if (length > max) throw malformed(`a text has more than ${max} bytes`);
    const value = decodeText(take(cursor, length));
    if (!pattern.test(value)) throw malformed('a text is none that its field may have');
    return value;
  },
});

export const literal = <const T extends string | number>(only: T): FieldType<T> => {
  const encoded =
    typeof only === 'number' ? head(0, only) : concatBytes(head(TEXT, only.length), utf8Encode(only));
  return {
    write: (writer) => lay(writer, encoded),
    read(cursor) {
      if (!startsWith(cursor, encoded)) throw malformed(`a field is not ${only}`);
      cursor.at += encoded.length;
      return only;
    },
  };
};

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

  /** The record at the cursor, which is then behind it. Byte strings are views. @throws HoldfastError `Corrupt`. */
  read(cursor: Cursor): T {
    const start = cursor.at;
    let left = readHead(cursor, MAP);
    const record: Record<string, unknown> = {};
    for (const { name, key, type, optional } of this.#fields) {
      if (!startsWith(cursor, key)) {
        if (optional) continue;
        throw malformed(`no field ${name} in its place`);
      }
      cursor.at += key.length;
      const value = type.read(cursor);
      if (name !== 'v') record[name] = value;
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
    if (isKind) return decodeText(take(cursor, Math.min(readHead(cursor, TEXT), MAX_RECORD_BYTES)));
    skip(cursor);
  }
  throw malformed('it has no kind');
}

/** Goes over the value at the cursor. @throws HoldfastError `Corrupt` for one of a type that no field has. */
function skip(cursor: Cursor): void {
  const major = (cursor.bytes[cursor.at] ?? 0xff) >> 5;
  if (major === SIMPLE) return void flag.read(cursor);
  if (major > TEXT) throw malformed('a field that does not belong there');
  const value = readHead(cursor, major);
  if (major === BYTES || major === TEXT) pass(cursor, value);
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

function lay(writer: Writer, bytes: Uint8Array): void {
  writer.bytes.set(bytes, writer.at);
  writer.at += bytes.length;
}

/** The head of a CBOR item in its shortest form. */
export function head(major: number, value: number): Uint8Array {
  const writer = { bytes: new Uint8Array(9), at: 0 };
  writeHead(writer, major, value);
  return writer.bytes.subarray(0, writer.at);
}

function writeHead(writer: Writer, major: number, value: number): void {
  const { bytes } = writer;
  const first = major << 5;
  if (value < 24) {
    bytes[writer.at++] = first | value;
    return;
  }
  const width = value < 0x100 ? 1 : value < 0x10000 ? 2 : value < 0x1_0000_0000 ? 4 : 8;
  bytes[writer.at++] = first | (24 + Math.log2(width));
  let left = value;
  for (let i = width - 1; i >= 0; i--) {
    bytes[writer.at + i] = left % 256;
    left = Math.floor(left / 256);
  }
  writer.at += width;
}

const LEAST = [24, 0x100, 0x10000, 0x1_0000_0000] as const;

/** The value of the head at the cursor. @throws HoldfastError `Corrupt` for another major type or a longer form. */
export function readHead(cursor: Cursor, major: number): number {
  const { bytes } = cursor;
  const first = bytes[cursor.at++];
  if (first === undefined) throw malformed('it ends too early');
  if (first >> 5 !== major) throw malformed('a field of another type');
  const info = first & 31;
  if (info < 24) return info;
  if (info > 27) throw malformed('no definite length');
  const width = 1 << (info - 24);
  if (cursor.at + width > bytes.length) throw malformed('it ends too early');
  let value = 0;
  for (let i = 0; i < width; i++) value = value * 256 + bytes[cursor.at++]!;
  if (value < LEAST[info - 24]! || value > Number.MAX_SAFE_INTEGER) throw malformed('not in canonical form');
  return value;
}

export function take(cursor: Cursor, length: number): Uint8Array {
  const from = cursor.at;
  pass(cursor, length);
  return cursor.bytes.subarray(from, cursor.at);
}

function pass(cursor: Cursor, length: number): void {
  const end = cursor.at + length;
  if (end > cursor.bytes.length) throw malformed('it ends too early');
  cursor.at = end;
}

function startsWith({ bytes, at }: Cursor, prefix: Uint8Array): boolean {
  for (let i = 0; i < prefix.length; i++) if (bytes[at + i] !== prefix[i]) return false;
  return true;
}

/** Nearly all texts are short ASCII, which takes a decoder longer to begin with than to read. */
function decodeText(bytes: Uint8Array): string {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! >= 0x80) return decodeUtf8(bytes);
  return String.fromCharCode.apply(undefined, bytes as unknown as number[]);
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw malformed('a text is not UTF-8');
  }
}
