import { dirname, join } from 'node:path';
import type { Blake3 } from '../../core/b3/blake3.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { Cursor } from '../records/fields.ts';
import { glimpse } from '../records/records.ts';
import { RECORDS_PER_FILE } from '../records/root.ts';
import { type FileScan, isTorn, MAX_FILE_BYTES, scanBatches } from './batch.ts';
import type { ReceiptFiles, Room } from './files.ts';
import { fileName, filePath, listFiles } from './folder.ts';
import { IdSet, type IdTable } from './ids.ts';

export interface Place {
  readonly files: ReceiptFiles;
  readonly blake3: Pick<Blake3, 'hash'>;
  /** Of receipts. */
  readonly folder: string;
}

/** Where an epoch's records end. */
export interface EpochEnd {
  /** The last file; 0 where there is none. */
  readonly seq: number;
  /** Records and bytes of it. */
  readonly records: number;
  readonly bytes: number;
  /** Behind them, left by a write that did not end. */
  readonly tornBytes: number;
}

/** Some of an epoch's files, that follow each other: `to` is the number of the first behind them. */
export interface FileRange {
  readonly from: number;
  readonly to: number;
}

const ALL: FileRange = { from: 0, to: Number.POSITIVE_INFINITY };

/**
 * Goes through all records of an epoch that is written by the rules, in order.
 * @param read leaves the cursor behind the record. Its bytes are the next file's then.
 * @throws HoldfastError `Corrupt`, code `receipts_damaged`, which names the file and the place.
 */
export async function goThrough(
  place: Place,
  epoch: number,
  read: (cursor: Cursor, seq: number) => void,
  { from, to }: FileRange = ALL,
): Promise<EpochEnd> {
  const { files, blake3, folder } = place;
  const { count, others } = await listFiles(files, folder, epoch);
  if (others[0] !== undefined)
    throw damaged(place, epoch, others[0], 'it is there, and those before it are not');
  const room = reusedRoom();
  let end: EpochEnd = { seq: 0, records: 0, bytes: 0, tornBytes: 0 };
  for (let seq = from; seq < Math.min(count, to); seq++) {
    const bytes = await files.read(filePath(folder, epoch, seq), MAX_FILE_BYTES, room);
    if (bytes === undefined) throw damaged(place, epoch, fileName(seq), 'it is missing');
    let records = 0;
    const scan = scanBatches(blake3, bytes, (cursor) => {
      read(cursor, seq);
      records++;
    });
    const tornBytes = tornIn(place, bytes, scan, seq === count - 1);
    if (tornBytes === undefined)
      throw damaged(place, epoch, fileName(seq), `at byte ${scan.wholeBytes}: ${scan.flaw?.why}`);
    if (records > RECORDS_PER_FILE || (seq < count - 1 && records < RECORDS_PER_FILE))
      throw damaged(place, epoch, fileName(seq), `it has ${records} records`);
    end = { seq, records, bytes: scan.wholeBytes, tornBytes };
  }
  return end;
}

/** The same for one file after the other: to make room takes the system as long as to read. */
function reusedRoom(): Room {
  let room = new Uint8Array(0);
  return (bytes) => {
    if (room.length < bytes) room = new Uint8Array(Math.ceil(1.25 * bytes));
    return room;
  };
}

/** Undefined: what is wrong in the file is damage. */
function tornIn(
  { blake3 }: Place,
  bytes: Uint8Array,
  { flaw, wholeBytes }: FileScan,
  isLast: boolean,
): number | undefined {
  if (flaw === undefined) return 0;
  const torn = isLast && flaw.record === undefined && isTorn(blake3, bytes, flaw.at);
  return torn ? bytes.length - wholeBytes : undefined;
}

/** @param file empty for the whole of the epoch. */
export function damaged(
  { folder }: Pick<Place, 'folder'>,
  epoch: number,
  file: string,
  why: string,
): HoldfastError {
  const its = dirname(filePath(folder, epoch, 0));
  return new HoldfastError('Corrupt', `receipts are damaged: ${join(`${epoch}`, file)}: ${why}`, {
    code: 'receipts_damaged',
    hint:
      `Restore ${join(its, file)} from a copy: then nothing is lost. Without one, move ${its} out of ${dirname(its)}: ` +
      `what is in it then counts for nothing. Until one of these is done, neither this hour nor a later one gets a root.`,
    context: { epoch, file },
  });
}

/** What a log has to know of an epoch that it goes on with. */
export interface EpochKnown {
  readonly end: EpochEnd;
  /** By 8 of their bytes. */
  readonly ids: readonly IdTable[];
  readonly providers: readonly string[];
}

/** @throws HoldfastError `Corrupt`, code `receipts_damaged`. */
export async function knowEpoch(place: Place, epoch: number): Promise<EpochKnown> {
  const ids = new IdSet(8);
  const providers = new Set<string>();
  const end = await goThrough(place, epoch, (cursor) => {
    const { id, provider } = glimpse(cursor);
    if (id !== undefined) ids.add(id);
    if (provider !== undefined) providers.add(provider);
  });
  return { end, ids: ids.tables, providers: [...providers] };
}

export interface KnownPlace extends Place {
  /** {@link knowEpoch} on another thread: a long hour takes a second. Default: on this one. */
  readonly know?: ((epoch: number) => Promise<EpochKnown>) | undefined;
}

/** Where the epoch ends; what a dead process left half written there is cut off. */
export async function loadEpoch(
  options: KnownPlace,
  epoch: number,
  ids: IdSet,
  providers: Set<string>,
): Promise<EpochEnd> {
  const { know = (one) => knowEpoch(options, one) } = options;
  const known = await know(epoch);
  ids.adopt(known.ids);
  for (const provider of known.providers) providers.add(provider);
  if (known.end.tornBytes > 0) await cutTorn(options, epoch, known.end);
  return known.end;
}

/** Cuts off what a write left that did not end. Nobody else writes to the epoch meanwhile. */
export async function cutTorn(
  { files, folder }: Place,
  epoch: number,
  { seq, bytes }: EpochEnd,
): Promise<void> {
  const file = await files.open(filePath(folder, epoch, seq));
  try {
    await file.truncate(bytes);
    await file.flush();
  } finally {
    await file.close();
  }
}
