import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Blake3 } from '../../core/b3/blake3.ts';
import { concatBytes, equalBytes } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';
import { type Cursor, head, readHead, take } from '../records/fields.ts';
import { type Receipt, readReceipt } from '../records/records.ts';

/** A file of records is a sequence of batches, each `[digest, content]`: docs/format/receipt.md, "Files". */

export const MAX_BATCH_BYTES: number = 1024 ** 2;
/** More than all records of a file with a batch each. */
export const MAX_FILE_BYTES: number = 24 * 1024 ** 2;

type Hash = Pick<Blake3, 'hash'>;

/** An array of two byte strings, the first of 32 bytes. */
const START = Uint8Array.of(0x82, 0x58, 0x20);
const [BYTES, ARRAY] = [2, 4] as const;

export function encodeBatch(blake3: Hash, records: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...records);
  return concatBytes(START, blake3.hash(content), head(BYTES, content.length), content);
}

/** The content of the batch at the cursor, which is then behind it. @throws HoldfastError `Corrupt` unless it is whole. */
function readBatch(blake3: Hash, cursor: Cursor): Uint8Array {
  const digest =
    readHead(cursor, ARRAY) === 2 && readHead(cursor, BYTES) === 32 ? take(cursor, 32) : undefined;
  const length = readHead(cursor, BYTES);
  const content = length >= 1 && length <= MAX_BATCH_BYTES ? take(cursor, length) : undefined;
  if (digest === undefined || content === undefined || !equalBytes(digest, blake3.hash(content)))
    throw notWhole();
  return content;
}

const notWhole = (): HoldfastError =>
  new HoldfastError('Corrupt', 'a batch of receipts is not whole', { code: 'receipts_damaged' });

/** Where in a file something is wrong. */
interface Flaw {
  /** Of the batch. */
  readonly at: number;
  /** Number of the record in the file, where it is known which. */
  readonly record?: number;
  readonly why: string;
}

export interface FileRecord {
  readonly receipt: Receipt;
  /** A view. */
  readonly bytes: Uint8Array;
}

export interface FileScan {
  /** How many of the bytes whole batches take from the beginning. */
  readonly wholeBytes: number;
  /** What stopped it before the end. */
  readonly flaw: Flaw | undefined;
}

/** Goes through the records of a file until its end, or until something is wrong. */
export function scanFile(
  blake3: Hash,
  bytes: Uint8Array,
  visit: (record: FileRecord, index: number) => void,
): FileScan {
  return scanBatches(blake3, bytes, reading(visit));
}

/** Bytes of records, at least, that are gone through in one turn of the loop: some 100, of one batch. */
const TURN_BYTES = 32 * 1024;

/**
 * Goes through the records of a file as {@link scanFile} does, and lets others have the thread between batches.
 * @param isEnough asked between batches too.
 */
export async function scanInTurns(
  blake3: Hash,
  bytes: Uint8Array,
  visit: (record: FileRecord, index: number) => void,
  isEnough: () => boolean = () => false,
): Promise<void> {
  let [at, turnAt, seen] = [0, 0, 0];
  while (at < bytes.length && !isEnough()) {
    if (at - turnAt >= TURN_BYTES) {
      await nextTurn();
      turnAt = at;
    }
    const before = seen;
    const batch = bytes.subarray(at, batchEnd(bytes, at));
    const { flaw } = scanFile(blake3, batch, (record, index) => {
      visit(record, before + index);
      seen++;
    });
    if (flaw !== undefined) return;
    at += batch.length;
  }
}

/** Where the batch ends that begins at `at`, as far as its length can be read. */
function batchEnd(bytes: Uint8Array, at: number): number {
  try {
    const cursor = { bytes, at: at + START.length + 32 };
    const length = readHead(cursor, BYTES);
    return Math.min(bytes.length, cursor.at + length);
  } catch {
    return bytes.length;
  }
}

/** Reads records, each with its bytes. */
const reading =
  (visit: (record: FileRecord, index: number) => void) =>
  (cursor: Cursor, index: number): void => {
    const from = cursor.at;
    const receipt = readReceipt(cursor);
    visit({ receipt, bytes: cursor.bytes.subarray(from, cursor.at) }, index);
  };

/** The same with another reader of a record. @param read leaves the cursor behind the record. */
export function scanBatches(
  blake3: Hash,
  bytes: Uint8Array,
  read: (cursor: Cursor, index: number) => void,
): FileScan {
  const cursor = { bytes, at: 0 };
  let index = 0;
  while (cursor.at < bytes.length) {
    const { at } = cursor;
    let content: Uint8Array;
    try {
      content = readBatch(blake3, cursor);
    } catch (error) {
      return { wholeBytes: at, flaw: { at, why: reasonOf(error, 'a batch that is not whole') } };
    }
    const inside = { bytes: content, at: 0 };
    while (inside.at < content.length) {
      try {
        read(inside, index);
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
        return { wholeBytes: at, flaw: { at, record: index, why: error.message } };
      }
      index++;
    }
  }
  return { wholeBytes: cursor.at, flaw: undefined };
}

function reasonOf(error: unknown, why: string): string {
  if (error instanceof HoldfastError) return why;
  throw error;
}

/** Where the content of the batch begins that begins at `at`. */
function contentAt(bytes: Uint8Array, at: number): number {
  const cursor = { bytes, at: at + START.length + 32 };
  readHead(cursor, BYTES);
  return cursor.at;
}

/**
 * Whether what follows `from` can be what a write left that did not end: no whole batch begins anywhere in it. A batch is
 * written only when the one before it is flushed.
 */
export function isTorn(blake3: Hash, bytes: Uint8Array, from: number): boolean {
  if (bytes.length - from > MAX_BATCH_BYTES + 64) return false;
  const rest = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = rest.indexOf(START, from + 1); at >= 0; at = rest.indexOf(START, at + 1)) {
    try {
      // First what costs nothing: garbage can look like a thousand beginnings, each of a mebibyte to be hashed.
      readReceipt({ bytes, at: contentAt(bytes, at) });
      readBatch(blake3, { bytes, at });
      return false;
    } catch {
      // Bytes that look like the beginning of a batch.
    }
  }
  return true;
}

/**
 * The records of a batch that is not whole, as far as they can be read: to find out which of them it is.
 * @param at where the batch begins.
 */
export function recordsDespite(bytes: Uint8Array, at: number): FileRecord[] {
  const found: FileRecord[] = [];
  const cursor = { bytes, at };
  try {
    readHead(cursor, ARRAY);
    take(cursor, readHead(cursor, BYTES));
    const end = Math.min(readHead(cursor, BYTES) + cursor.at, bytes.length);
    while (cursor.at < end) {
      const from = cursor.at;
      found.push({ receipt: readReceipt(cursor), bytes: bytes.subarray(from, cursor.at) });
    }
  } catch {
    // The first that cannot be read is behind those that can.
  }
  return found;
}
