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

export interface FieldType<T> {
  /** @throws TypeError for a value that the format does not have. */
  write(value: T): readonly Uint8Array[];
  /** @throws HoldfastError `Corrupt`. */
  read(cursor: Cursor): T;
}

type FieldTypes<T> = { readonly [K in keyof T]-?: FieldType<Exclude<T[K], undefined>> };
type OptionalKeys<T> = { [K in keyof T]-?: undefined extends T[K] ? K : never }[keyof T];

export function malformed(why: string): HoldfastError {
  return new HoldfastError('Corrupt', `malformed receipt: ${why}`, { code: 'receipt_malformed' });
}

const MAX_FIELDS = 23;
const [BYTES, TEXT, MAP] = [2, 3, 5] as const;

export const integer: FieldType<number> = {
  write(value) {
    if (!Number.isSafeInteger(value) || value < 0) throw new TypeError(`not an integer from 0: ${value}`);
    return [head(0, value)];
  },
  read: (cursor) => readHead(cursor, 0),
};

export const flag: FieldType<boolean> = {
  write: (value) => [Uint8Array.of(value ? 0xf5 : 0xf4)],
  read(cursor) {
    const byte = cursor.bytes[cursor.at++];
    if (byte !== 0xf4 && byte !== 0xf5) throw malformed('a field is no boolean');
    return byte === 0xf5;
  },
};

export const bytesOf = (length: number): FieldType<Uint8Array> => ({
  write(value) {
    if (value.length !== length) throw new TypeError(`not ${length} bytes but ${value.length}`);
    return [head(BYTES, length), value];
  },
  read(cursor) {
    if (readHead(cursor, BYTES) !== length) throw malformed(`a field has not ${length} bytes`);
    return take(cursor, length);
  },
});

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Text of UTF-8. @param max bytes. @param pattern which texts there are; it sees no more than `max`. */
export const textOf = (max: number, pattern: RegExp = /^/): FieldType<string> => ({
  write(value) {
    const encoded = utf8Encode(value);
    if (encoded.length > max || /\p{Surrogate}/u.test(value) || !pattern.test(value))
      throw new TypeError(`not a text of this field: ${JSON.stringify(value.slice(0, 80))}`);
    return [head(TEXT, encoded.length), encoded];
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
    write: () => [encoded],
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
    const parts: Uint8Array[] = [];
    let count = 0;
    for (const { name, key, type, optional } of this.#fields) {
      const value = name === 'v' ? 1 : record[name as keyof T];
      if (name === without || (value === undefined && optional)) continue;
      if (value === undefined) throw new TypeError(`a record without ${name}`);
      parts.push(key, ...type.write(value));
      count++;
    }
    return concatBytes(head(MAP, count), ...parts);
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
    take(cursor, readHead(cursor, TEXT));
    if (isKind) return decodeText(take(cursor, Math.min(readHead(cursor, TEXT), MAX_RECORD_BYTES)));
    skip(cursor);
  }
  throw malformed('it has no kind');
}

function skip(cursor: Cursor): void {
  const major = (cursor.bytes[cursor.at] ?? 0xff) >> 5;
  if (major > TEXT) throw malformed('a field before kind that does not belong there');
  const value = readHead(cursor, major);
  if (major === BYTES || major === TEXT) take(cursor, value);
}

/** The head of a CBOR item in its shortest form. */
export function head(major: number, value: number): Uint8Array {
  const first = major << 5;
  if (value < 24) return Uint8Array.of(first | value);
  if (value < 0x100) return Uint8Array.of(first | 24, value);
  const width = value < 0x10000 ? 2 : value < 0x1_0000_0000 ? 4 : 8;
  const out = new Uint8Array(1 + width);
  out[0] = first | (width === 2 ? 25 : width === 4 ? 26 : 27);
  let left = value;
  for (let i = width; i > 0; i--) {
    out[i] = left % 256;
    left = Math.floor(left / 256);
  }
  return out;
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
  const end = cursor.at + length;
  if (end > cursor.bytes.length) throw malformed('it ends too early');
  const taken = cursor.bytes.subarray(cursor.at, end);
  cursor.at = end;
  return taken;
}

function startsWith({ bytes, at }: Cursor, prefix: Uint8Array): boolean {
  for (let i = 0; i < prefix.length; i++) if (bytes[at + i] !== prefix[i]) return false;
  return true;
}

function decodeText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw malformed('a text is not UTF-8');
  }
}
