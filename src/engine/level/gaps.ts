import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Looks whether a database that is about to be opened lacks something in the middle of what was written. LevelDB passes over
 * a damaged part of its log without a word, up to the next 32 KiB, and goes on with what comes behind: a state then, that
 * never was. What is missing at the end is none of it: so a crash ends, and providers know how far the state had come.
 */

/** A writer may change the files while they are read; then it has looked itself. */
const MAX_ROUNDS = 5;
const BLOCK = 32 * 1024;
const HEADER = 7;
/** Kinds of fragments: a whole record, or what it has in the middle and at its end. */
const [FULL, MIDDLE, LAST] = [1, 3, 4] as const;

/** Whether writes are missing that others follow; false where the files cannot be read: LevelDB says why. */
export async function hasGap(location: string): Promise<boolean> {
  try {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const before = await readManifest(location);
      const logs = await readLogs(location, before.logNumber);
      if (!isBroken(before.lastSequence, logs)) return false;
      if ((await readManifest(location)).bytes.equals(before.bytes)) return true;
    }
  } catch {
    // Not there yet, or taken away.
  }
  return false;
}

/**
 * Whether there are records, but not the file that says of which of them the database consists: LevelDB would begin a new one
 * and delete most of them.
 */
export async function isBeheaded(location: string): Promise<boolean> {
  const names: string[] = await readdir(location).catch(() => []);
  if (names.includes('CURRENT') || !(await hasRecords(location, names))) return false;
  // Another process that made the database meanwhile made that file before any record.
  return stat(join(location, 'CURRENT')).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
}

async function hasRecords(location: string, names: readonly string[]): Promise<boolean> {
  if (names.some((name) => /^\d+\.(ldb|sst)$/.test(name))) return true;
  const logs = await readLogs(location, 0).catch(() => []);
  return logs.some((log) => log.length > 0);
}

interface Manifest {
  readonly bytes: Buffer;
  /** Older logs are in tables already. */
  readonly logNumber: number;
  readonly lastSequence: number;
}

async function readManifest(location: string): Promise<Manifest> {
  const current = (await readFile(join(location, 'CURRENT'), 'utf8')).trim();
  const bytes = await readFile(join(location, current));
  let [logNumber, lastSequence] = [0, 0];
  for (const { payload } of logRecords(bytes)) {
    const edit = editIn(payload);
    logNumber = edit.logNumber ?? logNumber;
    lastSequence = edit.lastSequence ?? lastSequence;
  }
  return { bytes, logNumber, lastSequence };
}

async function readLogs(location: string, from: number): Promise<Buffer[]> {
  const numbers = (await readdir(location))
    .map((name) => /^(\d+)\.log$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined && Number(digits) >= from) as string[];
  numbers.sort((a, b) => Number(a) - Number(b));
  return Promise.all(numbers.map((digits) => readFile(join(location, `${digits}.log`))));
}

/** Every write has the number after the last one of the write before. */
function isBroken(lastInTables: number, logs: readonly Buffer[]): boolean {
  let next: number | undefined;
  let isDamaged = false;
  for (const log of logs) {
    for (const { payload, afterDamage } of logRecords(log)) {
      if (payload.length < 12) return true;
      const first = Number(payload.readBigUInt64LE(0));
      if (isDamaged || afterDamage) return true;
      if (next === undefined ? first > lastInTables + 1 : first !== next) return true;
      next = first + payload.readUInt32LE(8);
    }
    isDamaged ||= endsDamaged(log);
  }
  return false;
}

interface LogRecord {
  readonly payload: Buffer;
  /** LevelDB passed over something before it. */
  readonly afterDamage: boolean;
}

/** What LevelDB finds in a log, in the order in which it was written. */
function* logRecords(log: Buffer): Generator<LogRecord> {
  let parts: Buffer[] = [];
  let afterDamage = false;
  for (const fragment of fragments(log)) {
    if (fragment === 'damage') {
      afterDamage = true;
      parts = [];
      continue;
    }
    const { type, payload } = fragment;
    const goesOn = type === MIDDLE || type === LAST;
    if (goesOn && parts.length === 0) afterDamage = true;
    else if (goesOn) parts.push(payload);
    else {
      afterDamage ||= parts.length > 0;
      parts = [payload];
    }
    if ((type !== FULL && type !== LAST) || parts.length === 0) continue;
    yield { payload: parts.length === 1 ? parts[0]! : Buffer.concat(parts), afterDamage };
    afterDamage = false;
    parts = [];
  }
}

interface Fragment {
  readonly type: number;
  readonly payload: Buffer;
}

/** Of a block with something damaged the rest is lost: its length may be wrong too. A write that was cut off is none. */
function* fragments(log: Buffer): Generator<Fragment | 'damage'> {
  for (let block = 0; block < log.length; block += BLOCK) {
    const end = Math.min(block + BLOCK, log.length);
    for (let at = block; at + HEADER <= end; ) {
      const [length, type] = [log.readUInt16LE(at + 4), log[at + 6]!];
      const stop = at + HEADER + length;
      if (stop > end || type < FULL || type > LAST || !matches(log, at, stop)) {
        if (stop <= end || end < log.length) yield 'damage';
        break;
      }
      yield { type, payload: log.subarray(at + HEADER, stop) };
      at = stop;
    }
  }
}

/** Whether something damaged is the last that is found. */
function endsDamaged(log: Buffer): boolean {
  let damaged = false;
  for (const fragment of fragments(log)) damaged = fragment === 'damage';
  return damaged;
}

/** Checksums are CRC-32C of the type and the payload, rotated and shifted. */
function matches(log: Buffer, at: number, stop: number): boolean {
  const crc = crc32c(log.subarray(at + 6, stop));
  return log.readUInt32LE(at) === (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Fields of a change of a version: a tag, then numbers (n) and texts (t) of the lengths that stand before them. */
const FIELDS: Readonly<Record<number, string>> = {
  1: 't',
  2: 'n',
  3: 'n',
  4: 'n',
  5: 'nt',
  6: 'nn',
  7: 'nnntt',
  9: 'n',
};

/** @throws Error for what cannot be read. */
function editIn(bytes: Buffer): { logNumber?: number; lastSequence?: number } {
  const edit: { logNumber?: number; lastSequence?: number } = {};
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let unit = 1; ; unit *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('a number is cut off');
      value += (byte & 127) * unit;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = number();
    const fields = FIELDS[tag];
    if (fields === undefined) throw new Error('an unknown field');
    for (const field of fields) {
      const value = number();
      if (field === 't') at += value;
      else if (tag === 2) edit.logNumber = value;
      else if (tag === 4) edit.lastSequence = value;
    }
  }
  return edit;
}
