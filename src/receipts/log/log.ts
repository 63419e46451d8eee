import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, withDeadline } from '../../core/clock.ts';
import { asHoldfastError, HoldfastError, isHoldfastError } from '../../core/errors.ts';
import { entryOf } from '../../core/maps.ts';
import { epochOf } from '../records/grants.ts';
import { idOf, providerIn, type Receipt } from '../records/records.ts';
import { MAX_FILES, MAX_PROVIDERS, RECORDS_PER_FILE } from '../records/root.ts';
import { encodeBatch, MAX_BATCH_BYTES } from './batch.ts';
import type { AppendFile } from './files.ts';
import { filePath, listEpochs } from './folder.ts';
import { IdSet } from './ids.ts';
import { type EpochEnd, type KnownPlace, loadEpoch } from './load.ts';

export interface LogOptions extends KnownPlace {
  readonly clock: Clock;
  /** Records that wait for the disk. Default 16,384. */
  readonly maxWaiting?: number | undefined;
  /** Records of one epoch, 16 bytes of memory each. Default 8,388,608; at most 33,554,432. */
  readonly maxRecords?: number | undefined;
}

/** Longer than any disk needs that works. */
const DEADLINE_MS = 10_000;
const MAX_BATCH_RECORDS = 1_024;
/** Each that is told answers a reader: hundreds at once would keep everybody else's read waiting. */
const TOLD_A_TURN = 16;

interface Waiting {
  readonly bytes: Uint8Array;
  readonly id: Uint8Array | undefined;
  /** Of the set that the id is in. */
  readonly epoch: number;
  settle(error?: HoldfastError): void;
}

interface Writer {
  readonly epoch: number;
  readonly seq: number;
  readonly file: AppendFile;
  records: number;
  bytes: number;
}

/**
 * Appends receipts, many with one flush. An id is taken once, over restarts too, and only what is flushed is acknowledged.
 * Its folder is this process's alone.
 * @throws HoldfastError `Corrupt`, code `receipts_damaged`; what the files throw.
 */
export async function openReceiptLog(options: LogOptions): Promise<ReceiptLog> {
  const { folders, roots } = await listEpochs(options.files, options.folder);
  const closed = new Set(roots);
  const now = epochOf(options.clock.now());
  const ids = new Map<number, IdSet>();
  const ends = new Map<number, EpochEnd>();
  const providers = new Set<string>();
  for (const epoch of folders) {
    // What was read before the last epoch is stale. What has no root yet may end in a torn batch.
    if (epoch < now - 1 && closed.has(epoch)) continue;
    const its = new IdSet(8);
    ends.set(epoch, await loadEpoch(options, epoch, its, providers));
    if (epoch >= now - 1) ids.set(epoch, its);
  }
  const newest = Math.max(folders.at(-1) ?? 0, (roots.at(-1) ?? -1) + 1);
  return new ReceiptLog(options, { newest, ids, ends, providers });
}

/** What is there already. */
interface Found {
  readonly newest: number;
  readonly ids: Map<number, IdSet>;
  readonly ends: Map<number, EpochEnd>;
  readonly providers: Set<string>;
}

export class ReceiptLog {
  readonly #options: LogOptions;
  /** By the epoch in which they were taken. */
  readonly #ids: Map<number, IdSet>;
  /** Where epochs end, which nobody writes to at the moment. */
  readonly #ends: Map<number, EpochEnd>;
  /** Of these and earlier records: a root has room for so many. */
  readonly #providers: Set<string>;
  /** Nothing is written to an epoch before it. */
  #newest: number;
  #writer: Writer | undefined;
  #waiting: Waiting[] = [];
  /** Until nothing waits. */
  #flushing: Promise<void> | undefined;
  /** One batch of it. */
  #writing: Promise<void> | undefined;
  /** Those of the batch before are being told. */
  #telling: Promise<void> | undefined;
  /** Why nothing is taken: for the time being, or for good. */
  #refusal: HoldfastError | undefined;

  constructor(options: LogOptions, { newest, ids, ends, providers }: Found) {
    this.#options = options;
    this.#newest = newest;
    this.#ids = ids;
    this.#ends = ends;
    this.#providers = providers;
  }

  /**
   * The epoch that is written to.
   * @throws HoldfastError `Unavailable`, code `receipts_clock`, while the clock shows one long before it.
   */
  booking(): number {
    const now = epochOf(this.#options.clock.now());
    if (this.#newest > now + 1) throw clockBehind(now, this.#newest);
    return Math.max(now, this.#newest);
  }

  /** Whether there is a record with this id, or one waits to be written. */
  has(id: Uint8Array): boolean {
    for (const ids of this.#ids.values()) if (ids.has(id)) return true;
    return false;
  }

  /**
   * Takes a receipt, at once and before it returns; resolves when it is on the disk.
   * @param bytes of the receipt; they do not change.
   * @returns false, resolved, where its id was taken before.
   * @throws HoldfastError, as a rejection: `RateLimited`, code `receipts_overloaded`; `Unavailable`, code
   * `receipts_unwritten` or `receipts_clock`; `Conflict`, code `receipts_shared`.
   */
  async append(receipt: Receipt, bytes: Uint8Array): Promise<boolean> {
    const id = idOf(receipt);
    if (id !== undefined && this.has(id)) return false;
    if (this.#refusal !== undefined) throw this.#refusal;
    const epoch = this.booking();
    const provider = providerIn(receipt);
    this.#checkRoom(epoch, provider);
    if (provider !== undefined) this.#providers.add(provider);
    if (id !== undefined) this.#idsOf(epoch).add(id);
    await new Promise<void>((resolve, reject) => {
      const settle = (error?: HoldfastError): void => (error === undefined ? resolve() : reject(error));
      this.#waiting.push({ bytes, id, epoch, settle });
      this.#flushing ??= this.#flush();
    });
    return true;
  }

  /** Writes to this epoch, and those before it, no more; resolves when nothing of them is under way. */
  async seal(epoch: number): Promise<void> {
    this.#newest = Math.max(this.#newest, epoch + 1);
    await this.#inTime(async () => {
      // There may always be more that waits: what is written next goes to a later epoch.
      await this.#writing;
      if (this.#writer !== undefined && this.#writer.epoch <= epoch) await this.#leaveFile();
    });
  }

  /** Ends when all that waits is written, and takes nothing more. */
  async close(): Promise<void> {
    this.#refusal ??= unwritten('it was closed');
    await this.#inTime(async () => {
      await this.#flushing;
      await this.#telling;
      await this.#leaveFile();
    });
  }

  #inTime(work: () => Promise<void>): Promise<void> {
    return withDeadline(this.#options.clock, DEADLINE_MS, 'receipts', work);
  }

  #idsOf(epoch: number): IdSet {
    // Of reads that were issued before the epoch before, nothing is taken.
    for (const taken of this.#ids.keys()) if (taken < epoch - 1) this.#ids.delete(taken);
    return entryOf(this.#ids, epoch, () => new IdSet(8));
  }

  #checkRoom(epoch: number, provider: string | undefined): void {
    const { maxWaiting = 16_384, maxRecords = 8_388_608 } = this.#options;
    const end = this.#writer?.epoch === epoch ? this.#writer : this.#ends.get(epoch);
    const written = end === undefined ? 0 : end.seq * RECORDS_PER_FILE + end.records;
    const isNew = provider !== undefined && !this.#providers.has(provider);
    const isRoom = this.#waiting.length < maxWaiting && !(isNew && this.#providers.size >= MAX_PROVIDERS);
    if (isRoom && written + this.#waiting.length < Math.min(maxRecords, MAX_FILES * RECORDS_PER_FILE)) return;
    throw new HoldfastError('RateLimited', 'there are more receipts than can be written down', {
      code: 'receipts_overloaded',
      hint: 'Try again later.',
    });
  }

  async #flush(): Promise<void> {
    try {
      // All that is asked in this turn shares the first flush.
      await Promise.resolve();
      while (this.#waiting.length > 0) {
        this.#writing = this.#writeBatch();
        await this.#writing;
      }
    } finally {
      this.#flushing = undefined;
      this.#writing = undefined;
    }
  }

  /** What waits, as far as one batch takes it. It throws nothing: each that waited is told. */
  async #writeBatch(): Promise<void> {
    const batch: Waiting[] = [];
    let isLate = false;
    const cancel = this.#options.clock.timer(DEADLINE_MS, () => {
      isLate = true;
      this.#refusal ??= LATE;
      // What is under way may still be written, so that its ids stay taken; what waits is not.
      for (const one of batch) one.settle(LATE);
      this.#release(this.#waiting.splice(0), LATE);
    });
    try {
      await this.#write(batch);
      cancel();
      await this.#telling;
      this.#telling = tell(batch);
    } catch (error) {
      const failure = failureOf(error);
      if (failure.code === 'receipts_shared') this.#refusal = failure;
      await this.#takeBack(batch, failure);
      this.#release(this.#waiting.splice(0), failure);
    } finally {
      cancel();
      if (isLate && this.#refusal === LATE) this.#refusal = undefined;
    }
  }

  /** @param batch filled with what is to be written. */
  async #write(batch: Waiting[]): Promise<void> {
    const writer = await this.#writerFor(this.booking());
    let bytes = 0;
    const room = Math.min(MAX_BATCH_RECORDS, RECORDS_PER_FILE - writer.records);
    for (const one of this.#waiting) {
      bytes += one.bytes.length;
      if (batch.length === room || bytes > MAX_BATCH_BYTES) break;
      batch.push(one);
    }
    this.#waiting.splice(0, batch.length);
    if ((await writer.file.size()) !== writer.bytes) throw shared(this.#options.folder);
    const encoded = encodeBatch(
      this.#options.blake3,
      batch.map((one) => one.bytes),
    );
    await writer.file.append(encoded);
    await writer.file.flush();
    // A file that was deleted meanwhile takes bytes as well, and nobody will ever see them.
    if (!(await writer.file.isNamed())) throw unwritten('their file was moved or deleted');
    writer.records += batch.length;
    writer.bytes += encoded.length;
  }

  /** After a write that failed: cuts off what there may be of it, or else leaves the file to be read again. */
  async #takeBack(batch: readonly Waiting[], failure: HoldfastError): Promise<void> {
    const writer = this.#writer;
    try {
      if (failure.code === 'receipts_shared') return;
      if (writer !== undefined && batch.length > 0) {
        await writer.file.truncate(writer.bytes);
        await writer.file.flush();
      }
      if (writer !== undefined && !(await writer.file.isNamed())) {
        await this.#leaveFile();
        this.#ends.delete(writer.epoch);
      }
      this.#release(batch, failure);
    } catch {
      // Nobody knows what is on the disk: the ids stay taken, and the end is looked for before anything is appended.
      await this.#leaveFile();
      if (writer !== undefined) this.#ends.delete(writer.epoch);
    } finally {
      for (const one of batch) one.settle(failure);
    }
  }

  #release(given: readonly Waiting[], failure: HoldfastError): void {
    for (const { id, epoch, settle } of given) {
      if (id !== undefined) this.#ids.get(epoch)?.delete(id);
      settle(failure);
    }
  }

  async #writerFor(epoch: number): Promise<Writer> {
    const current = this.#writer;
    if (current?.epoch === epoch && current.records < RECORDS_PER_FILE) return current;
    await this.#leaveFile();
    let end =
      this.#ends.get(epoch) ?? (await loadEpoch(this.#options, epoch, this.#idsOf(epoch), this.#providers));
    if (end.records >= RECORDS_PER_FILE) end = { seq: end.seq + 1, records: 0, bytes: 0, tornBytes: 0 };
    const { seq, records, bytes } = end;
    this.#newest = Math.max(this.#newest, epoch);
    const file = await this.#options.files.open(filePath(this.#options.folder, epoch, seq));
    this.#writer = { epoch, seq, file, records, bytes };
    return this.#writer;
  }

  async #leaveFile(): Promise<void> {
    const writer = this.#writer;
    if (writer === undefined) return;
    this.#writer = undefined;
    const { epoch, seq, records, bytes, file } = writer;
    this.#ends.set(epoch, { seq, records, bytes, tornBytes: 0 });
    // All that was acknowledged is flushed: whether it closes well says nothing more.
    await file.close().catch(() => undefined);
  }
}

async function tell(written: readonly Waiting[]): Promise<void> {
  for (const [i, one] of written.entries()) {
    if (i > 0 && i % TOLD_A_TURN === 0) await nextTurn();
    one.settle();
  }
}

/** What the files say is a cause; what the log itself says stands. */
function failureOf(error: unknown): HoldfastError {
  const { message, code } = asHoldfastError(error);
  return isHoldfastError(error) && code.startsWith('receipts_') ? error : unwritten(message, error);
}

const unwritten = (why: string, cause?: unknown): HoldfastError =>
  new HoldfastError('Unavailable', `receipts cannot be written down: ${why}`, {
    code: 'receipts_unwritten',
    hint: 'Look at the disk that they are on. Reads go on meanwhile, and are not credited.',
    cause,
  });

const LATE: HoldfastError = unwritten(`the disk did not answer for ${DEADLINE_MS / 1000} seconds`);

const shared = (folder: string): HoldfastError =>
  new HoldfastError('Conflict', `another process writes to the receipts in ${folder}`, {
    code: 'receipts_shared',
    hint: 'Give each gateway a folder of its own, and start this one again.',
  });

const clockBehind = (now: number, newest: number): HoldfastError =>
  new HoldfastError(
    'Unavailable',
    `this machine's clock shows epoch ${now}, and there are receipts of ${newest}`,
    {
      code: 'receipts_clock',
      hint: `Set the clock. If it was wrong before, stop the gateway, move away the folder and the root of epoch ${newest}, and start it.`,
    },
  );
