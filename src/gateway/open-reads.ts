import { toHex } from '../core/bytes.ts';
import { type Clock, withDeadline } from '../core/clock.ts';
import { isHoldfastError } from '../core/errors.ts';
import type { ServiceLog } from '../http/log.ts';
import type { ReceiptDesk, Refusal } from '../receipts/desk.ts';
import type { ReadRequest } from '../receipts/records/grants.ts';
import { decodeGrant, decodeReceipt, encodeGrant, type ReadAck } from '../receipts/records/records.ts';
import type { ReceiptMetrics } from '../telemetry/index.ts';
import { Turns } from './turns.ts';

export interface OpenReadsOptions {
  readonly desk: Pick<ReceiptDesk, 'issue' | 'accept' | 'unsigned' | 'failure'>;
  readonly clock: Clock;
  readonly metrics: ReceiptMetrics;
  readonly log: ServiceLog;
  /** So long after its end a read is waited for to be acknowledged. */
  readonly ackMs: number;
  /** Ended reads that are waited for. One more, and the oldest is unsigned. */
  readonly maxOpen: number;
}

/** A read that has begun. */
export interface OpenRead {
  /** What its reader is given, base64url. */
  readonly grant: string;
  /** Nothing more of it is sent. Idempotent. */
  end(): void;
}

interface Entry {
  readonly id: string;
  readonly grant: string;
  readonly issued: number;
  /** Bytes that were sent so far. */
  sent: () => number;
  /** Monotonic. */
  dueMs: number;
  /** Acknowledgements of it that are being looked at. */
  checking: number;
}

const LOOK_MS = 1_000;
/** One takes tens of microseconds, and hundreds come or are due at once: all in one turn would keep every read waiting. */
const RECEIPTS_A_TURN = 16;
const MAX_WAITING = 16_384;
/** Unsigned reads that are being written down at a time: acknowledgements come first. */
const MAX_WRITING = 2_048;
const RETRY_MS = 10_000;
/** The log is told no more often that receipts cannot be written down. */
const TELL_MS = 10_000;
const CLOSE_MS = 20_000;

/**
 * The reads of a gateway whose acknowledgements may still come. It knows what was sent of each, and writes down unsigned
 * what nobody acknowledges. No read waits for anything here, neither a disk nor a signature.
 */
export class OpenReads {
  readonly #options: OpenReadsOptions;
  /** Being sent: as many as there are connections. */
  readonly #sending = new Map<string, Entry>();
  /** Ended; those that are due first are in front. */
  readonly #ended = new Map<string, Entry>();
  /** What was issued before is of another process, and nobody knows what was sent of it. */
  readonly #startedMs: number;
  /** Of the reads that are known no more, though nothing of them was written: the latest `issued`. */
  #lostIssued = Number.NEGATIVE_INFINITY;
  readonly #turns = new Turns(RECEIPTS_A_TURN, MAX_WAITING);
  #writing = 0;
  #isClosed = false;
  #cancelLook: (() => void) | undefined;
  #failed = 0;
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(options: OpenReadsOptions) {
    this.#options = options;
    this.#startedMs = options.clock.now();
  }

  /** @param sent how many bytes were sent so far; asked until it has ended. */
  begin(request: ReadRequest, sent: () => number): OpenRead {
    const { desk } = this.#options;
    const issued = desk.issue(request);
    const grant = Buffer.from(encodeGrant(issued)).toString('base64url');
    const entry = {
      id: toHex(issued.readId),
      grant,
      issued: issued.issued,
      sent,
      dueMs: 0,
      checking: 0,
    };
    this.#sending.set(entry.id, entry);
    return { grant, end: () => this.#end(entry) };
  }

  /** Takes an acknowledgement: undefined once it is on the disk, or why it is not taken. */
  async accept(encoded: Uint8Array): Promise<Refusal | undefined> {
    const refusal = (await this.#turns.take()) ? await this.#accept(encoded) : 'overloaded';
    const { metrics } = this.#options;
    if (refusal === undefined) metrics.written('signed');
    else metrics.rejected(refusal);
    if (refusal === 'unwritten') this.#tellFailed();
    return refusal;
  }

  /** Writes down unsigned what is open. To be called when no read is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const entry of [...this.#sending.values()]) this.#end(entry);
    this.#stopLooking();
    const all = async (signal: AbortSignal): Promise<void> => {
      while (this.#ended.size > 0 && !signal.aborted) {
        const some = [...this.#ended.values()].slice(0, MAX_WRITING);
        const written = await Promise.all(some.map((entry) => this.#writeUnsigned(entry)));
        // A disk that took nothing of them will not take the others.
        if (!written.includes(true)) break;
      }
    };
    await withDeadline(this.#options.clock, CLOSE_MS, 'receipts', all).catch(() => undefined);
    this.#stopLooking();
    for (const entry of this.#ended.values()) this.#lose(entry);
    this.#ended.clear();
  }

  async #accept(encoded: Uint8Array): Promise<Refusal | undefined> {
    const ack = readIn(encoded);
    if (ack === undefined) return 'malformed';
    const id = toHex(ack.readId);
    const open = this.#sending.get(id) ?? this.#ended.get(id);
    if (open === undefined) {
      const isLost = ack.issued >= this.#startedMs && ack.issued <= this.#lostIssued;
      return isLost ? 'overloaded' : this.#options.desk.accept(encoded);
    }
    open.checking++;
    try {
      const refusal = await this.#options.desk.accept(encoded, open.sent());
      if (refusal === undefined) this.#forget(open);
      return refusal;
    } finally {
      open.checking--;
    }
  }

  #forget({ id }: Entry): void {
    this.#sending.delete(id);
    this.#ended.delete(id);
  }

  #end(entry: Entry): void {
    if (!this.#sending.delete(entry.id)) return;
    const sentBytes = entry.sent();
    entry.sent = () => sentBytes;
    this.#await(entry, this.#options.ackMs);
  }

  #await(entry: Entry, ms: number): void {
    const { clock, maxOpen } = this.#options;
    entry.dueMs = clock.monotonic() + ms;
    this.#ended.set(entry.id, entry);
    if (this.#ended.size > maxOpen) {
      const [oldest] = this.#ended.values();
      if (this.#writing < MAX_WRITING) void this.#writeUnsigned(oldest!);
      else this.#drop(oldest!);
    }
    this.#lookLater();
  }

  /** Writes down what was not acknowledged in time, a few in a turn of the loop. */
  async #look(): Promise<void> {
    this.#cancelLook = undefined;
    const now = this.#options.clock.monotonic();
    for (const entry of this.#ended.values()) {
      if (entry.dueMs > now || this.#writing >= MAX_WRITING || !(await this.#turns.take())) break;
      const isOpen = this.#ended.get(entry.id) === entry && entry.dueMs <= now;
      if (isOpen && entry.checking === 0) void this.#writeUnsigned(entry);
    }
    if (this.#ended.size > 0 && !this.#isClosed) this.#lookLater();
  }

  #lookLater(): void {
    this.#cancelLook ??= this.#options.clock.timer(LOOK_MS, () => void this.#look(), { idle: true });
  }

  #stopLooking(): void {
    this.#cancelLook?.();
    this.#cancelLook = undefined;
  }

  /** @returns whether it is written down now, or was acknowledged meanwhile. */
  async #writeUnsigned(entry: Entry): Promise<boolean> {
    const { desk, metrics, maxOpen } = this.#options;
    this.#ended.delete(entry.id);
    this.#writing++;
    const refusal = await desk
      .unsigned(decodeGrant(Buffer.from(entry.grant, 'base64url')), entry.sent())
      .catch((): Refusal => 'unwritten');
    this.#writing--;
    if (refusal === undefined) metrics.written('unsigned');
    if (refusal === undefined || refusal === 'duplicate') return true;
    this.#tellFailed();
    if (this.#ended.size < maxOpen) this.#await(entry, RETRY_MS);
    else this.#lose(entry);
    return false;
  }

  #drop(entry: Entry): void {
    this.#ended.delete(entry.id);
    this.#tellFailed();
    this.#lose(entry);
  }

  #lose({ issued }: Entry): void {
    this.#lostIssued = Math.max(this.#lostIssued, issued);
    this.#options.metrics.lost();
  }

  /** Says now and then that receipts cannot be written down, and why. */
  #tellFailed(): void {
    const { clock, log, desk } = this.#options;
    this.#failed++;
    const now = clock.monotonic();
    if (now - this.#toldMs < TELL_MS) return;
    const { code, message, hint } = desk.failure ?? {};
    log.event('warn', 'receipts_unwritten', { tries: this.#failed, code, error: message, hint });
    this.#failed = 0;
    this.#toldMs = now;
  }
}

function readIn(encoded: Uint8Array): ReadAck | undefined {
  try {
    const receipt = decodeReceipt(encoded);
    return receipt.kind === 'read' ? receipt : undefined;
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return undefined;
    throw error;
  }
}
