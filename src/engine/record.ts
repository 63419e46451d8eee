import { crc32 } from 'node:zlib';
import { HoldfastError } from '../core/errors.ts';

/**
 * A record in the database: key `<table>:<key>` in UTF-8; value CRC-32 (4 bytes, little-endian) of the key's and
 * the value's bytes, then the value. LevelDB as bound here does not check its blocks when it reads them.
 */
const CHECK_BYTES = 4;
/** Above every byte that occurs in UTF-8, so `<prefix> ff` ends the range of a prefix. */
const AFTER_UTF8 = Buffer.of(0xff);

export const recordKey = (table: string, key: string): Uint8Array => Buffer.from(`${table}:${key}`);

/** First bytes that sort after everything that starts with `prefix`. */
export const afterPrefix = (prefix: Uint8Array): Uint8Array => Buffer.concat([prefix, AFTER_UTF8]);

export const plainKey = (table: string, stored: Uint8Array): string =>
  Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength).toString('utf8', table.length + 1);

export function encodeRecord(key: Uint8Array, value: Uint8Array): Uint8Array {
  const record = new Uint8Array(CHECK_BYTES + value.length);
  record.set(value, CHECK_BYTES);
  view(record).setUint32(0, checksum(key, record.subarray(CHECK_BYTES)), true);
  return record;
}

/** @throws HoldfastError `Corrupt`, code `engine_corrupt`. */
export function decodeRecord(key: Uint8Array, record: Uint8Array): Uint8Array {
  const value = new Uint8Array(record.subarray(CHECK_BYTES));
  if (record.length < CHECK_BYTES || view(record).getUint32(0, true) !== checksum(key, value)) {
    throw new HoldfastError('Corrupt', 'a record of the database does not match its checksum', {
      code: 'engine_corrupt',
      hint: 'Move the database folder aside and rebuild it from the providers with "holdfast recover".',
    });
  }
  return value;
}

const checksum = (key: Uint8Array, value: Uint8Array): number => crc32(value, crc32(key));

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
