import { equalBytes, toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import { deriveGatewayKeys, type GatewayKeys } from '../keys/gateway.ts';
import { type CloseOptions, closeDue, GRACE_MS } from './close.ts';
import { DenialCounter } from './denials.ts';
import type { Ed25519, Signer } from './ed25519/ed25519.ts';
import { type LogOptions, openReceiptLog, type ReceiptLog } from './log/log.ts';
import { EPOCH_MS, epochOf, Grants, type ReadRequest } from './records/grants.ts';
import {
  decodeReceipt,
  type ExecutionReceipt,
  encodeReceipt,
  isSignedRight,
  type ReadAck,
  type ReadGrant,
  type Receipt,
} from './records/records.ts';
import type { EpochRoot } from './records/root.ts';
import { Turns } from './turns.ts';

export interface DeskOptions extends LogOptions, Pick<CloseOptions, 'sum'> {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly ed25519: Ed25519;
  /** 32 random bytes, the gateway's own, the same at every start. */
  readonly key: Uint8Array;
  /** Denied reads a second that are written down one by one. Default 50. */
  readonly denialsPerSecond?: number | undefined;
  /** Lets go of the folder, when all is written. */
  readonly release?: (() => Promise<void>) | undefined;
}

/** Why an acknowledgement is not taken: docs/format/receipt.md, "Read ids". */
export type Refusal =
  | 'malformed'
  | 'foreign'
  | 'future'
  | 'stale'
  | 'forged'
  | 'duplicate'
  | 'signature'
  | 'overloaded'
  | 'unwritten';

/** How far a reader's clock may be from the gateway's. */
const SKEW_MS = 2 * 60_000;
/** Signatures that are checked at a time. */
const MAX_CHECKING = 4_096;

/** What a gateway writes down of its reads. */
export interface ReceiptDesk {
  /** Public key of the gateway. */
  readonly gateway: Uint8Array;
  /** Why the last receipt could not be written down; undefined where it could. */
  readonly failure: HoldfastError | undefined;
  /**
   * What decides who is credited for what a client reads now: it is the client's own commitment of the hour, in hex, so that
   * an auditor can tell from the records whether it was kept to.
   */
  reservationKey(client: string): string;
  /** What a reader is given with a read. Nothing of it is kept. */
  issue(request: ReadRequest): ReadGrant;
  /**
   * Takes the acknowledgement of a read: undefined once it is on the disk, or why it is not taken.
   * @param sentBytes how many the gateway sent of it, where it knows: a reader cannot have received more.
   */
  accept(ack: Uint8Array, sentBytes?: number): Promise<Refusal | undefined>;
  /** Writes down a read that nobody acknowledged, with what was sent. It is no credit to anybody. */
  unsigned(grant: ReadGrant, sentBytes: number): Promise<Refusal | undefined>;
  /** Writes down that a read was denied; beyond a rate it only counts. @param reason of `a`–`z`, `0`–`9` and `_`. */
  denied(read: ReadRequest, reason: string): Promise<Refusal | undefined>;
  /** Writes down what a page cost, as the node that ran it signed it. */
  executed(receipt: Uint8Array): Promise<Refusal | undefined>;
  /**
   * Gives every epoch its root that is over: call it every few minutes. What is done already it does not do again.
   * @returns the roots that are new.
   * @throws HoldfastError `Corrupt`, code `receipts_damaged`; those before it are closed.
   */
  closeDue(signal?: AbortSignal): Promise<EpochRoot[]>;
  close(): Promise<void>;
}

/** Its folder is one process's alone. @throws HoldfastError `Corrupt`, code `receipts_damaged`; what the files throw. */
export async function openReceiptDesk(options: DeskOptions): Promise<ReceiptDesk> {
  return new Desk(options, await openReceiptLog(options));
}

class Desk implements ReceiptDesk {
  readonly gateway: Uint8Array;
  failure: HoldfastError | undefined;
  readonly #options: DeskOptions;
  readonly #log: ReceiptLog;
  readonly #signer: Signer;
  readonly #grants: Grants;
  readonly #denials: DenialCounter;
  readonly #turns = new Turns<Refusal>('signature');
  #checking = 0;

  constructor(options: DeskOptions, log: ReceiptLog) {
    const keys: GatewayKeys = deriveGatewayKeys(options.key);
    this.#options = options;
    this.#log = log;
    this.#signer = options.ed25519.signer(keys.signingSeed);
    this.gateway = this.#signer.publicKey;
    this.#grants = new Grants(this.gateway, keys, options.random);
    const { clock, denialsPerSecond = 50 } = options;
    this.#denials = new DenialCounter({ clock, gateway: this.gateway, perSecond: denialsPerSecond, log });
  }

  reservationKey(client: string): string {
    return toHex(this.#grants.clientHash(client, this.#options.clock.now()));
  }

  issue(request: ReadRequest): ReadGrant {
    return this.#grants.issue(request, Math.floor(this.#options.clock.now()));
  }

  async accept(encoded: Uint8Array, sentBytes?: number): Promise<Refusal | undefined> {
    const ack = ackIn(encoded);
    if (ack === undefined) return 'malformed';
    const refusal = this.#judge(ack, sentBytes ?? ack.length);
    if (refusal !== undefined) return refusal;
    return this.#checkAndWrite(ack, encoded);
  }

  unsigned(grant: ReadGrant, sentBytes: number): Promise<Refusal | undefined> {
    const ts = Math.floor(this.#options.clock.now());
    const bytes = Math.min(sentBytes, grant.length);
    return this.#write({ ...grant, kind: 'read', bytes, ts, allowed: true });
  }

  async denied(read: ReadRequest, reason: string): Promise<Refusal | undefined> {
    const ts = Math.floor(this.#options.clock.now());
    if (this.#denials.counts(reason, ts)) return undefined;
    return this.#write({ ...this.issue(read), kind: 'read', bytes: 0, ts, allowed: false, reason });
  }

  async executed(encoded: Uint8Array): Promise<Refusal | undefined> {
    const receipt = executionIn(encoded);
    if (receipt === undefined) return 'malformed';
    if (!equalBytes(receipt.gateway, this.gateway)) return 'foreign';
    const now = this.#options.clock.now();
    if (receipt.ts > now + SKEW_MS) return 'future';
    if (receipt.ts < now - GRACE_MS - SKEW_MS) return 'stale';
    return this.#checkAndWrite(receipt, encoded);
  }

  async closeDue(signal?: AbortSignal): Promise<EpochRoot[]> {
    await this.#denials.flush();
    const { files, blake3, folder, clock, sum } = this.#options;
    const options = { files, blake3, folder, log: this.#log, signer: this.#signer, signal, sum };
    return closeDue(options, clock.now());
  }

  async close(): Promise<void> {
    await this.#denials.flush();
    await this.#log.close();
    await this.#options.release?.();
  }

  #checkAndWrite(receipt: ReadAck | ExecutionReceipt, encoded: Uint8Array): Promise<Refusal | undefined> {
    const id = receipt.kind === 'read' ? receipt.readId : receipt.executionId;
    return this.#turns.take(toHex(id), () => this.#inTurn(id, receipt, encoded));
  }

  async #inTurn(id: Uint8Array, receipt: Receipt, encoded: Uint8Array): Promise<Refusal | undefined> {
    if (this.#log.has(id)) return 'duplicate';
    if (this.#checking >= MAX_CHECKING) return 'overloaded';
    this.#checking++;
    try {
      if (!(await isSignedRight(receipt, encoded, this.#options.ed25519))) return 'signature';
    } finally {
      this.#checking--;
    }
    return this.#write(receipt, encoded);
  }

  #judge(ack: ReadAck, sentBytes: number): Refusal | undefined {
    if (!equalBytes(ack.gateway, this.gateway)) return 'foreign';
    const now = this.#options.clock.now();
    const { issued, ts } = ack;
    if (issued > now + SKEW_MS || ts > now + SKEW_MS) return 'future';
    const epoch = epochOf(issued);
    const isLate = now > (epoch + 1) * EPOCH_MS + GRACE_MS || epoch < this.#bookingOr(epoch) - 1;
    if (isLate || ts < issued - SKEW_MS) return 'stale';
    if (ack.bytes > sentBytes || !this.#grants.isOwn(ack)) return 'forged';
    return this.#log.has(ack.readId) ? 'duplicate' : undefined;
  }

  /** While the clock is wrong nothing is written, which the log itself says. */
  #bookingOr(epoch: number): number {
    try {
      return this.#log.booking();
    } catch {
      return epoch;
    }
  }

  async #write(receipt: Receipt, encoded: Uint8Array = encodeReceipt(receipt)): Promise<Refusal | undefined> {
    try {
      const isNew = await this.#log.append(receipt, encoded);
      this.failure = undefined;
      return isNew ? undefined : 'duplicate';
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      this.failure = error;
      return error.kind === 'RateLimited' ? 'overloaded' : 'unwritten';
    }
  }
}

function ackIn(encoded: Uint8Array): ReadAck | undefined {
  const receipt = receiptIn(encoded);
  return receipt?.kind === 'read' && receipt.allowed && receipt.pk !== undefined ? receipt : undefined;
}

function executionIn(encoded: Uint8Array): ExecutionReceipt | undefined {
  const receipt = receiptIn(encoded);
  return receipt?.kind === 'execution' ? receipt : undefined;
}

function receiptIn(encoded: Uint8Array): Receipt | undefined {
  try {
    return decodeReceipt(encoded);
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return undefined;
    throw error;
  }
}
