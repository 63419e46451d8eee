import { fromHex, toHex, utf8Decode, utf8Encode } from '../../core/bytes.ts';
import { isCount } from '../../core/counts.ts';
import { HoldfastError } from '../../core/errors.ts';

/** What stands in the tables of the ledger: docs/format/records.md, "Ledger". Amounts are bytes of credit. */

export const ACCOUNT_TABLE = 'ledger_accounts';
export const ENTRY_TABLE = 'ledger_entries';
export const DONE_TABLE = 'ledger_done';
export const HEAD_TABLE = 'ledger_head';
export const HEAD_KEY = 'head';
/** There while the ledger is built anew, and nothing may be booked. */
export const REBUILD_KEY = 'rebuild';

/** What reads are credited from, and what rent is paid from. */
export type Fund = 'pool' | 'escrow';
const OWNER = 'owner/';

/** What was put into a fund; below zero by as much. */
export const ownerAccount = (fund: Fund): string => `${OWNER}${fund}`;

/** Others are never below zero. */
export const mayOwe = (account: string): boolean => account.startsWith(OWNER);

export const providerAccount = (provider: string): string => `provider/${provider}`;

export interface Posting {
  readonly account: string;
  readonly amount: bigint;
}

/** What somebody might have expected to get, and why it is not, or not all. */
export interface Unpaid {
  readonly provider: string;
  readonly reason: UnpaidReason;
}

const UNPAID_REASONS = [
  'few_signed',
  'few_readers',
  'unknown_provider',
  'provider_cap',
  'epoch_cap',
  'pool_empty',
  'escrow_empty',
] as const;
export type UnpaidReason = (typeof UNPAID_REASONS)[number];

/** What is booked in one step. Its postings come to zero, each account is there once. */
export interface Booking {
  /** What it is for: there is one entry of an id. */
  readonly id: string;
  /** Of the root that a read's entry is for, 64 hex digits; else empty. */
  readonly digest: string;
  readonly postings: readonly Posting[];
  readonly unpaid: readonly Unpaid[];
}

export interface LedgerEntry extends Booking {
  /** From 1, without a gap. */
  readonly seq: number;
  /** When it was booked, milliseconds since the Unix epoch. */
  readonly at: number;
  /** BLAKE3 of the entry before it; of the first 32 bytes of 0. */
  readonly previous: Uint8Array;
}

/** The newest entry. */
export interface LedgerHead {
  readonly seq: number;
  readonly digest: Uint8Array;
}

/** Which entry is for an id. */
export interface DoneMark {
  readonly seq: number;
  readonly digest: string;
}

export const NO_DIGEST: Uint8Array = new Uint8Array(32);

/** Sixteen digits, so that keys are in the order of the numbers. */
export const entryKey = (seq: number): string => `${seq}`.padStart(16, '0');

export function ledgerDamaged(what: string, why: string, cause?: unknown): HoldfastError {
  return new HoldfastError('Corrupt', `the ledger is damaged: ${what}: ${why}`, {
    code: 'ledger_damaged',
    hint: 'Nothing is credited until `holdfast receipts rebuild` has built it anew from what is whole.',
    context: { record: what },
    cause,
  });
}

const DIGEST = /^[0-9a-f]{64}$/;
const AMOUNT = /^(?:0|-?[1-9][0-9]{0,38})$/;
export const MAX_POSTINGS = 2_048;

const json = (value: object): Uint8Array => utf8Encode(JSON.stringify({ v: 1, ...value }));

export const encodeEntry = (entry: LedgerEntry): Uint8Array =>
  json({
    seq: entry.seq,
    id: entry.id,
    at: entry.at,
    digest: entry.digest,
    previous: toHex(entry.previous),
    postings: entry.postings.map(({ account, amount }) => [account, `${amount}`]),
    unpaid: entry.unpaid.map(({ provider, reason }) => [provider, reason]),
  });

export const encodeHead = ({ seq, digest }: LedgerHead): Uint8Array => json({ seq, digest: toHex(digest) });

export const encodeAccount = (balance: bigint): Uint8Array => json({ balance: `${balance}` });

export const encodeDone = ({ seq, digest }: DoneMark): Uint8Array => json({ seq, digest });

/** @throws HoldfastError `Corrupt`, code `ledger_damaged`, as all that follow. */
export function decodeEntry(bytes: Uint8Array, key: string): LedgerEntry {
  const what = `entry ${key}`;
  return reading(bytes, what, encodeEntry, (record) => {
    const entry: LedgerEntry = {
      seq: count(record.seq),
      id: text(record.id),
      at: count(record.at),
      digest: record.digest === '' ? '' : digest(record.digest),
      previous: fromHex(digest(record.previous)),
      postings: pairs(record.postings).map(([account, amount]) => ({ account, amount: integer(amount) })),
      unpaid: pairs(record.unpaid).map(([provider, reason]) => ({ provider, reason: reasonOf(reason) })),
    };
    if (entryKey(entry.seq) !== key) throw new TypeError(`it says that it is entry ${entry.seq}`);
    const flaw = unbalanced(entry.postings);
    if (flaw !== undefined) throw new TypeError(flaw);
    return entry;
  });
}

export const decodeHead = (bytes: Uint8Array): LedgerHead =>
  reading(bytes, 'head', encodeHead, (record) => ({
    seq: count(record.seq),
    digest: fromHex(digest(record.digest)),
  }));

/** The balance of an account. */
export const decodeAccount = (bytes: Uint8Array, account: string): bigint =>
  reading(bytes, `account ${account}`, encodeAccount, (record) => {
    const balance = integer(record.balance);
    if (balance < 0n && !mayOwe(account)) throw new TypeError('it is below zero');
    return balance;
  });

export const decodeDone = (bytes: Uint8Array, id: string): DoneMark =>
  reading(bytes, `mark ${id}`, encodeDone, (record) => ({
    seq: count(record.seq),
    digest: record.digest === '' ? '' : digest(record.digest),
  }));

/** Why postings are none that may be booked; undefined where they may. */
export function unbalanced(postings: readonly Posting[]): string | undefined {
  if (new Set(postings.map(({ account }) => account)).size < postings.length)
    return 'it has an account twice';
  const sum = postings.reduce((total, { amount }) => total + amount, 0n);
  return sum === 0n ? undefined : `its postings come to ${sum}`;
}

/** There is one way to write a record. */
function reading<T>(
  bytes: Uint8Array,
  what: string,
  encode: (record: T) => Uint8Array,
  read: (record: Record<string, unknown>) => T,
): T {
  try {
    const written = utf8Decode(bytes);
    const record = read(JSON.parse(written) as Record<string, unknown>);
    if (utf8Decode(encode(record)) !== written) throw new TypeError('it is not written as it must be');
    return record;
  } catch (error) {
    throw ledgerDamaged(what, error instanceof Error ? error.message : 'it cannot be read', error);
  }
}

function count(value: unknown): number {
  if (isCount(value)) return value as number;
  throw new TypeError('a number is none');
}

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new TypeError('a text is none');
}

function digest(value: unknown): string {
  const hex = text(value);
  if (DIGEST.test(hex)) return hex;
  throw new TypeError('a digest is none');
}

function integer(value: unknown): bigint {
  const digits = text(value);
  if (AMOUNT.test(digits)) return BigInt(digits);
  throw new TypeError('an amount is none');
}

function reasonOf(value: string): UnpaidReason {
  const known = UNPAID_REASONS.find((reason) => reason === value);
  if (known !== undefined) return known;
  throw new TypeError('a reason is none');
}

function pairs(value: unknown): [string, string][] {
  if (!Array.isArray(value) || value.length > MAX_POSTINGS) throw new TypeError('a list is none');
  return value.map((pair: unknown) => {
    if (!Array.isArray(pair) || pair.length !== 2) throw new TypeError('a pair is none');
    return [text(pair[0]), text(pair[1])];
  });
}
