import { concatBytes, utf8Encode } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';

/** Items of canonical CBOR, as far as records have them, and the types of their fields. */

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
  /** Goes over a value that {@link read} would take, and makes nothing of it. @throws HoldfastError `Corrupt`. */
  pass(cursor: Cursor): void;
}

export function malformed(why: string): HoldfastError {
  return new HoldfastError('Corrupt', `malformed receipt: ${why}`, { code: 'receipt_malformed' });
}

const [BYTES, SIMPLE] = [2, 7] as const;
export const TEXT = 3;
export const MAP = 5;

export const integer: FieldType<number> = {
  write(writer, value) {
    if (!Number.isSafeInteger(value) || value < 0) throw new TypeError(`not an integer from 0: ${value}`);
    writeHead(writer, 0, value);
  },
  read: (cursor) => readHead(cursor, 0),
  pass: (cursor) => void readHead(cursor, 0),
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
  pass: (cursor) => void flag.read(cursor),
};

const isFlag = (byte: number | undefined): boolean => byte === 0xf4 || byte === 0xf5;

export const bytesOf = (length: number): FieldType<Uint8Array> => ({
  write(writer, value) {
    if (value.length !== length) throw new TypeError(`not ${length} bytes but ${value.length}`);
    writeHead(writer, BYTES, length);
    lay(writer, value);
  },
  read(cursor) {
    this.pass(cursor);
    return cursor.bytes.subarray(cursor.at - length, cursor.at);
  },
  pass(cursor) {
    if (readHead(cursor, BYTES) !== length) throw malformed(`a field has not ${length} bytes`);
    pass(cursor, length);
  },
});

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Text of UTF-8. @param max bytes. @param pattern which texts there are; it sees no more than `max`. Default: all. */
export const textOf = (max: number, pattern?: RegExp): FieldType<string> => ({
  write(writer, value) {
    const encoded = utf8Encode(value);
    if (encoded.length > max || /\p{Surrogate}/u.test(value) || pattern?.test(value) === false)
      throw new TypeError(`not a text of this field: ${JSON.stringify(value.slice(0, 80))}`);
    writeHead(writer, TEXT, encoded.length);
    lay(writer, encoded);
  },
  read(cursor) {
    const length = readHead(cursor, TEXT);
    if (length > max) throw malformed(`a text has more than ${max} bytes`);
    pass(cursor, length);
    const value = decodeText(cursor.bytes, cursor.at - length, cursor.at);
    if (pattern?.test(value) === false) throw malformed('a text is none that its field may have');
    return value;
  },
  pass(cursor) {
    const { at } = cursor;
    const length = readHead(cursor, TEXT);
    const from = cursor.at;
    if (pattern === undefined && length <= max) {
      pass(cursor, length);
      if (isAscii(cursor.bytes, from, cursor.at)) return;
    }
    cursor.at = at;
    this.read(cursor);
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
    pass(cursor) {
      this.read(cursor);
    },
  };
};

/** Goes over the value at the cursor. @throws HoldfastError `Corrupt` for one of a type that no field has. */
export function skip(cursor: Cursor): void {
  const major = (cursor.bytes[cursor.at] ?? 0xff) >> 5;
  if (major === SIMPLE) return void flag.read(cursor);
  if (major > TEXT) throw malformed('a field that does not belong there');
  const value = readHead(cursor, major);
  if (major === BYTES || major === TEXT) pass(cursor, value);
}

export function lay(writer: Writer, bytes: Uint8Array): void {
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

/** Goes over so many bytes. @throws HoldfastError `Corrupt` where there are fewer. */
export function pass(cursor: Cursor, length: number): void {
  const end = cursor.at + length;
  if (end > cursor.bytes.length) throw malformed('it ends too early');
  cursor.at = end;
}

export function startsWith({ bytes, at }: Cursor, prefix: Uint8Array): boolean {
  for (let i = 0; i < prefix.length; i++) if (bytes[at + i] !== prefix[i]) return false;
  return true;
}

/** Texts that come again and again, such as ids of providers: each is made once. */
const TEXTS: ({ readonly text: string; readonly bytes: Uint8Array } | undefined)[] = [];
const MAX_TEXTS = 1_024;
const SHORT_BYTES = 64;

/** The text of UTF-8 in this place. @throws HoldfastError `Corrupt`. */
export function decodeText(bytes: Uint8Array, from: number, to: number): string {
  const length = to - from;
  if (length > SHORT_BYTES) return decodeUtf8(bytes.subarray(from, to));
  let hash = length;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  const place = ((hash >>> 16) ^ hash) & (MAX_TEXTS - 1);
  const known = TEXTS[place];
  if (known !== undefined && known.bytes.length === length && startsWith({ bytes, at: from }, known.bytes))
    return known.text;
  const own = bytes.slice(from, to);
  const text = decodeUtf8(own);
  TEXTS[place] = { text, bytes: own };
  return text;
}

function isAscii(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i]! >= 0x80) return false;
  return true;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw malformed('a text is not UTF-8');
  }
}
