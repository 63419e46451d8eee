import type { AbortOptions } from '../core/abort.ts';
import { concatBytes, utf8Encode } from '../core/bytes.ts';
import { isHoldfastError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import { isEmpty, writeInBatches } from '../engine/batches.ts';
import type { BatchOp } from '../engine/engine.ts';
import { seal, unseal } from '../keys/seal.ts';
import { codeFields, readCodeFields } from '../manifest/code-fields.ts';
import { decodeNode, encodeNode } from '../manifest/dag-cbor.ts';
import { Fields } from '../manifest/fields.ts';
import type { CborLimits } from '../manifest/scan.ts';
import type { RecordsContext } from './context.ts';
import { recoveredSince } from './generation-record.ts';
import { type JournalEntry, RESUME_TABLE } from './journal.ts';
import type { JournalHeader } from './journal-header.ts';

/** What a file is known again by. */
export interface FileVersion {
  readonly size: number;
  /** Decimal digits: they do not fit a number. */
  readonly mtimeNs: string;
  readonly inode: string;
  readonly device: string;
}

/** A put that can be taken up again: what its segments were made with. */
export interface Unfinished {
  readonly objectKey: Uint8Array;
  readonly objectId: Uint8Array;
  readonly code: ReturnType<typeof readCodeFields>;
  readonly compression: string;
  readonly source: FileVersion;
  /** When somebody last worked on it, give or take {@link RENEW_MS}. */
  readonly sinceMs: number;
}

/** A segment of which every pack and enough copies of its node were acknowledged. */
export interface FinishedSegment {
  readonly node: Uint8Array;
  /** Providers that acknowledged a copy of the node. */
  readonly copies: readonly string[];
  /** Where it ends in the plaintext, and the BLAKE3 hash of the plaintext up to there. */
  readonly end: number;
  readonly hash: Uint8Array;
  /** Whether the object ends there. */
  readonly last: boolean;
}

const VERSION = 1;
/** A put at work renews the time of its record this often. */
export const RENEW_MS = 600_000;
/** A node of up to 1 MiB with what belongs to it. */
const LIMITS: CborLimits = { maxBytes: 2 * 1024 * 1024, maxDepth: 4, maxItems: 1_000 };
const MAX_COPIES = 255;
/** Keys of segments sort as their first chunks do. */
const DIGITS = 12;

/** @param journal its id, which is the key in the table: a record does not open under another. */
export function sealUnfinished(
  wrapKey: Uint8Array,
  journal: string,
  { source, ...put }: Unfinished,
  random: RandomBytes,
): Uint8Array {
  const plain = encodeNode({
    v: VERSION,
    object_key: put.objectKey,
    object_id: put.objectId,
    ...codeFields(put.code),
    compression: put.compression,
    size: source.size,
    mtime_ns: source.mtimeNs,
    inode: source.inode,
    device: source.device,
    since_ms: put.sinceMs,
  });
  return seal(wrapKey, aadOf(journal), plain, random);
}

/** @throws HoldfastError `Corrupt`. @internal Tests compare it with the vectors. */
export function openUnfinished(wrapKey: Uint8Array, journal: string, sealed: Uint8Array): Unfinished {
  const fields = new Fields(decodeNode(unseal(wrapKey, aadOf(journal), sealed)), 'unfinished put');
  fields.uint('v', VERSION, VERSION);
  const put = {
    objectKey: fields.bytes('object_key', 32),
    objectId: fields.bytes('object_id', 16),
    code: readCodeFields(fields),
    compression: fields.text('compression', 64),
    source: {
      size: fields.uint('size'),
      mtimeNs: fields.text('mtime_ns', 32),
      inode: fields.text('inode', 32),
      device: fields.text('device', 32),
    },
    sinceMs: fields.uint('since_ms'),
  };
  fields.end();
  return put;
}

/** @param sealedKey of the object. @param key in the table. */
export function sealFinished(
  sealedKey: Uint8Array,
  key: string,
  segment: FinishedSegment,
  random: RandomBytes,
): Uint8Array {
  const { node, end, hash, last } = segment;
  const plain = encodeNode({ v: VERSION, node, copies: [...segment.copies], end, hash, last: last ? 1 : 0 });
  return seal(sealedKey, aadOf(key), plain, random);
}

/** @throws HoldfastError `Corrupt`. @internal Tests compare it with the vectors. */
export function openFinished(sealedKey: Uint8Array, key: string, sealed: Uint8Array): FinishedSegment {
  const fields = new Fields(decodeNode(unseal(sealedKey, aadOf(key), sealed), LIMITS), 'finished segment');
  fields.uint('v', VERSION, VERSION);
  const segment = {
    node: fields.bytes('node'),
    copies: fields.list('copies', MAX_COPIES, (id) => {
      if (typeof id !== 'string') throw fields.bad('copies', 'ids of providers');
      return id;
    }),
    end: fields.uint('end'),
    hash: fields.bytes('hash', 32),
    last: fields.uint('last', 1) === 1,
  };
  fields.end();
  return segment;
}

const aadOf = (key: string): Uint8Array => concatBytes(Uint8Array.of(VERSION, 0xf9), utf8Encode(key));

export const segmentKey = (journal: string, firstChunk: number): string =>
  `${journal}/${String(firstChunk).padStart(DIGITS, '0')}`;

export const resumeEntry = (key: string, value: Uint8Array | undefined): BatchOp => ({
  table: RESUME_TABLE,
  key,
  value,
});

/** What of a put can be taken up; undefined where there is nothing, or nothing that can be read. */
export async function unfinishedOf(
  { engine, keys }: RecordsContext,
  journal: string,
  options: AbortOptions = {},
): Promise<Unfinished | undefined> {
  return readable(async () => {
    const sealed = await engine.table(RESUME_TABLE).get(journal, options);
    return sealed && openUnfinished(keys.wrap, journal, sealed);
  });
}

/** Finished segments in their order; those whose record is damaged are passed over. */
export async function* finishedSegments(
  context: RecordsContext,
  journal: string,
  sealedKey: Uint8Array,
  options: AbortOptions,
): AsyncGenerator<{ readonly key: string; readonly finished: FinishedSegment }> {
  for (const key of await segmentKeys(context, journal, options)) {
    const finished = await finishedSegment(context, key, sealedKey, options);
    if (finished !== undefined) yield { key, finished };
  }
}

async function segmentKeys(
  { engine }: RecordsContext,
  journal: string,
  options: AbortOptions = {},
): Promise<string[]> {
  const keys: string[] = [];
  const onDamaged = (key: string): void => void keys.push(key);
  const entries = engine.table(RESUME_TABLE).entries({ ...options, prefix: `${journal}/`, onDamaged });
  for await (const [key] of entries) keys.push(key);
  return keys.sort();
}

/** @returns undefined when it is missing or damaged. */
export function finishedSegment(
  { engine }: RecordsContext,
  key: string,
  sealedKey: Uint8Array,
  options: AbortOptions = {},
): Promise<FinishedSegment | undefined> {
  return readable(async () => {
    const sealed = await engine.table(RESUME_TABLE).get(key, options);
    return sealed && openFinished(sealedKey, key, sealed);
  });
}

/** Forgets all finished segments but these: they will be made anew. Flushed. */
export async function forgetFinished(
  context: RecordsContext,
  journal: string,
  kept: ReadonlySet<string>,
): Promise<void> {
  const keys = await segmentKeys(context, journal);
  const ops = keys.filter((key) => !kept.has(key)).map((key) => resumeEntry(key, undefined));
  if (ops.length > 0) await writeInBatches(context.engine, ops, { sync: true });
}

/** Whether no put at all can be taken up, which one look tells. */
export const nothingUnfinished = ({ engine }: RecordsContext, options: AbortOptions): Promise<boolean> =>
  isEmpty(engine.table(RESUME_TABLE), options);

/** Not a put that a sweep has condemned, nor one of before a recovery: it may have become visible in what was lost. */
export const mayGoOn = async (
  { engine }: RecordsContext,
  { state, recoveries }: JournalHeader,
): Promise<boolean> => state === 'open' && !(await recoveredSince(engine, recoveries));

/**
 * Whether a put may still be taken up, and is not to be undone yet. Of a clock that was set back or forth it is believed
 * that no more than `keepMs` went by in either direction.
 */
export async function isKept(
  context: RecordsContext,
  { id, header }: JournalEntry,
  keepMs: number,
  options: AbortOptions,
): Promise<boolean> {
  if (keepMs <= 0 || !(await mayGoOn(context, header))) return false;
  const unfinished = await unfinishedOf(context, id, options);
  return unfinished !== undefined && Math.abs(context.clock.now() - unfinished.sinceMs) < keepMs;
}

async function readable<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return undefined;
    throw error;
  }
}
