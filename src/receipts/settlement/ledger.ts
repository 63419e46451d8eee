import type { AbortOptions } from '../../core/abort.ts';
import type { Blake3 } from '../../core/b3/blake3.ts';
import { equalBytes } from '../../core/bytes.ts';
import { type Clock, recordedTime } from '../../core/clock.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { BatchOp, Engine, Precondition } from '../../engine/engine.ts';
import {
  ACCOUNT_TABLE,
  type Booking,
  DONE_TABLE,
  type DoneMark,
  decodeAccount,
  decodeDone,
  decodeEntry,
  decodeHead,
  ENTRY_TABLE,
  encodeAccount,
  encodeDone,
  encodeEntry,
  encodeHead,
  entryKey,
  HEAD_KEY,
  HEAD_TABLE,
  type LedgerEntry,
  ledgerDamaged,
  mayOwe,
  NO_DIGEST,
  REBUILD_KEY,
  unbalanced,
} from './entries.ts';

/** Somebody else books in each of them. */
const MAX_ROUNDS = 256;

export interface LedgerOptions {
  readonly engine: Engine;
  readonly blake3: Pick<Blake3, 'hash'>;
  readonly clock: Clock;
}

/** What is booked, by the balances of all accounts as they stand; undefined: nothing. */
export type Decide = (balanceOf: (account: string) => bigint) => Omit<Booking, 'id'> | undefined;

/** What the entries come to, up to one of them. */
export interface CheckedLedger {
  readonly seq: number;
  /** Of every account that was ever booked to; together they are zero. */
  readonly balances: ReadonlyMap<string, bigint>;
}

/**
 * A double-entry ledger in an engine: a chain of entries whose postings each come to zero, and the balances that follow from
 * them. Any number of processes may book at once. Before one books, it has checked every entry there is: those of the past
 * once, then what others added. Nothing is booked to a ledger that is damaged.
 */
export class Ledger {
  readonly #options: LedgerOptions;
  readonly #balances = new Map<string, bigint>();
  #seq = 0;
  #digest: Uint8Array = NO_DIGEST;
  #isCompared = false;
  #areMarksCounted = false;
  /** Checks and bookings of this process, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  /** 0 for an account that nothing was booked to. @throws HoldfastError `Corrupt`, code `ledger_damaged`, as all here. */
  async balance(account: string, options?: AbortOptions): Promise<bigint> {
    const bytes = await this.#get(ACCOUNT_TABLE, account, options);
    return bytes === undefined ? 0n : decodeAccount(bytes, account);
  }

  /** The entry that there is for an id. */
  async done(id: string, options?: AbortOptions): Promise<DoneMark | undefined> {
    const bytes = await this.#get(DONE_TABLE, id, options);
    return bytes === undefined ? undefined : decodeDone(bytes, id);
  }

  /**
   * Books what `decide` says, on the disk and in one step, or finds that there is an entry of this id.
   * @param decide is asked again when somebody else has booked meanwhile.
   * @throws HoldfastError `Conflict`, code `ledger_busy`.
   */
  book(id: string, decide: Decide, options: AbortOptions = {}): Promise<'booked' | 'already'> {
    return this.#inTurn(async () => {
      for (let round = 0; round < MAX_ROUNDS; round++) {
        if ((await this.done(id, options)) !== undefined) return 'already';
        await this.#check(options);
        const booking = decide((account) => this.#balances.get(account) ?? 0n);
        if (booking === undefined) return 'already';
        if (await this.#write({ id, ...booking }, options)) return 'booked';
      }
      throw new HoldfastError('Conflict', 'others keep booking to the ledger', {
        code: 'ledger_busy',
        status: 'temporary',
        hint: 'Try again.',
      });
    });
  }

  /** Goes through every entry and account that was not checked yet. */
  check(options: AbortOptions = {}): Promise<CheckedLedger> {
    return this.#inTurn(async () => {
      await this.#check(options);
      return { seq: this.#seq, balances: new Map(this.#balances) };
    });
  }

  /** The newest first. */
  async *entries(
    options: AbortOptions & { readonly limit?: number | undefined } = {},
  ): AsyncGenerator<LedgerEntry> {
    const table = this.#options.engine.table(ENTRY_TABLE);
    for await (const [key, bytes] of this.#reading('entries', table.entries({ ...options, reverse: true })))
      yield decodeEntry(bytes, key);
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    const mine = (async () => {
      await before.catch(() => undefined);
      return work();
    })();
    this.#turn = mine;
    return mine;
  }

  /** A ledger that was built anew is not the one that was checked: it is checked from the beginning. */
  async #check(options: AbortOptions): Promise<void> {
    const from = this.#seq;
    try {
      await this.#checkOn(options);
    } catch (error) {
      this.#forget();
      if (from === 0 || !isHoldfastError(error) || error.code !== 'ledger_damaged') throw error;
      await this.#checkOn(options);
    }
  }

  #forget(): void {
    this.#balances.clear();
    this.#seq = 0;
    this.#digest = NO_DIGEST;
    this.#isCompared = false;
    this.#areMarksCounted = false;
  }

  async #checkOn(options: AbortOptions): Promise<void> {
    if ((await this.#get(HEAD_TABLE, REBUILD_KEY, options)) !== undefined) throw rebuilding();
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const head = await this.#head(options);
      if (this.#isCompared && head.seq === this.#seq && equalBytes(head.digest, this.#digest)) return;
      this.#isCompared = false;
      await this.#follow(head.seq, options);
      if (!equalBytes(head.digest, this.#digest))
        throw ledgerDamaged('head', 'it is not that of the last entry');
      const flaw = (await this.#compareAccounts(options)) ?? (await this.#countMarks(options));
      // Between two looks at accounts somebody may have booked.
      const isStill = (await this.#head(options)).seq === head.seq;
      if (isStill && flaw !== undefined) throw flaw;
      this.#isCompared = isStill;
      this.#areMarksCounted ||= isStill;
    }
    throw new HoldfastError('Conflict', 'others keep booking to the ledger', {
      code: 'ledger_busy',
      status: 'temporary',
      hint: 'Try again.',
    });
  }

  /** Adds the entries behind those that were checked. */
  async #follow(to: number, options: AbortOptions): Promise<void> {
    if (to < this.#seq) throw ledgerDamaged('head', `it names entry ${to}, and there was ${this.#seq}`);
    const { engine, blake3 } = this.#options;
    const range = { gte: entryKey(this.#seq + 1), lt: entryKey(to + 1) };
    const found = engine.table(ENTRY_TABLE).entries({ ...options, ...range });
    for await (const [key, bytes] of this.#reading('entries', found)) {
      const entry = decodeEntry(bytes, key);
      if (entry.seq !== this.#seq + 1) break;
      if (!equalBytes(entry.previous, this.#digest))
        throw ledgerDamaged(`entry ${entry.seq}`, 'it does not name the one before it');
      const mark = await this.done(entry.id, options);
      if (mark?.seq !== entry.seq || mark.digest !== entry.digest)
        throw ledgerDamaged(`mark ${entry.id}`, `it is not that of entry ${entry.seq}`);
      this.#add(entry, blake3.hash(bytes));
    }
    if (this.#seq < to) throw ledgerDamaged(`entry ${this.#seq + 1}`, 'it is missing');
  }

  #add({ postings, seq }: Pick<LedgerEntry, 'postings' | 'seq'>, digest: Uint8Array): void {
    for (const { account, amount } of postings)
      this.#balances.set(account, (this.#balances.get(account) ?? 0n) + amount);
    this.#seq = seq;
    this.#digest = digest;
  }

  /** What is wrong with them. */
  async #compareAccounts(options: AbortOptions): Promise<HoldfastError | undefined> {
    const left = new Map(this.#balances);
    const found = this.#options.engine.table(ACCOUNT_TABLE).entries(options);
    for await (const [account, bytes] of this.#reading('accounts', found)) {
      const balance = decodeAccount(bytes, account);
      const meant = left.get(account);
      if (balance !== meant)
        return ledgerDamaged(
          `account ${account}`,
          `it has ${balance}, and its entries come to ${meant ?? 'none'}`,
        );
      left.delete(account);
    }
    const [missing] = left.keys();
    return missing === undefined ? undefined : ledgerDamaged(`account ${missing}`, 'it is missing');
  }

  /** One that no entry is for would keep an hour from its credit. */
  async #countMarks(options: AbortOptions): Promise<HoldfastError | undefined> {
    if (this.#areMarksCounted) return undefined;
    let marks = 0;
    const found = this.#options.engine.table(DONE_TABLE).entries(options);
    for await (const _ of this.#reading('marks', found)) marks++;
    return marks === this.#seq
      ? undefined
      : ledgerDamaged('marks', `there are ${marks}, and ${this.#seq} entries`);
  }

  /** @returns false where somebody else has booked since the check. */
  async #write(booking: Booking, options: AbortOptions): Promise<boolean> {
    const { engine, blake3, clock } = this.#options;
    const flaw = unbalanced(booking.postings);
    if (flaw !== undefined) throw new TypeError(`not to be booked: ${flaw}`);
    const seq = this.#seq + 1;
    const entry: LedgerEntry = { ...booking, seq, at: recordedTime(clock), previous: this.#digest };
    const bytes = encodeEntry(entry);
    const digest = blake3.hash(bytes);
    const headNow = this.#seq === 0 ? undefined : encodeHead({ seq: this.#seq, digest: this.#digest });
    const ops: BatchOp[] = [
      { table: ENTRY_TABLE, key: entryKey(seq), value: bytes },
      { table: DONE_TABLE, key: booking.id, value: encodeDone({ seq, digest: booking.digest }) },
      { table: HEAD_TABLE, key: HEAD_KEY, value: encodeHead({ seq, digest }) },
    ];
    const preconditions: Precondition[] = [
      { table: ENTRY_TABLE, key: entryKey(seq), expected: undefined },
      { table: DONE_TABLE, key: booking.id, expected: undefined },
      { table: HEAD_TABLE, key: HEAD_KEY, expected: headNow },
      { table: HEAD_TABLE, key: REBUILD_KEY, expected: undefined },
    ];
    for (const { account, amount } of booking.postings) {
      const expected = await this.#get(ACCOUNT_TABLE, account, options);
      const before = this.#balances.get(account);
      if ((expected && decodeAccount(expected, account)) !== before) {
        // Somebody has booked, or it is damaged: the next check tells.
        this.#isCompared = false;
        return false;
      }
      const balance = (before ?? 0n) + amount;
      if (balance < 0n && !mayOwe(account))
        throw new TypeError(`not to be booked: ${account} would be below zero`);
      ops.push({ table: ACCOUNT_TABLE, key: account, value: encodeAccount(balance) });
      preconditions.push({ table: ACCOUNT_TABLE, key: account, expected });
    }
    if (!(await engine.batch(ops, preconditions, { ...options, sync: true }))) return false;
    this.#add(entry, digest);
    return true;
  }

  async #head(options: AbortOptions): Promise<{ readonly seq: number; readonly digest: Uint8Array }> {
    const bytes = await this.#get(HEAD_TABLE, HEAD_KEY, options);
    return bytes === undefined ? { seq: 0, digest: NO_DIGEST } : decodeHead(bytes);
  }

  async #get(table: string, key: string, options?: AbortOptions): Promise<Uint8Array | undefined> {
    try {
      return await this.#options.engine.table(table).get(key, options);
    } catch (error) {
      throw asDamage(`${table} ${key}`, error);
    }
  }

  async *#reading<T>(what: string, found: AsyncIterable<T>): AsyncGenerator<T> {
    try {
      yield* found;
    } catch (error) {
      throw asDamage(what, error);
    }
  }
}

const asDamage = (what: string, error: unknown): unknown =>
  isHoldfastError(error, 'Corrupt') && error.code !== 'ledger_damaged'
    ? ledgerDamaged(what, error.message, error)
    : error;

const rebuilding = (): HoldfastError =>
  new HoldfastError('Conflict', 'the ledger is being built anew', {
    code: 'ledger_rebuilding',
    status: 'temporary',
    hint: 'Wait for `holdfast receipts rebuild`; run it again where it was cut off.',
  });
