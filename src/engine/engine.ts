import type { AbortOptions } from '../core/abort.ts';

/**
 * The one contract between Holdfast and where its small records live: journals, names, profiles.
 *
 * Holds for every method: it rejects with a `HoldfastError` and nothing else; an already-aborted signal rejects
 * with `Aborted` before anything is touched; an abort in mid-flight rejects promptly, and a write that was under
 * way then may or may not take effect. A malformed key, value or range rejects with `Unexpected`, code
 * `engine_bad_key`, `engine_bad_value`, `engine_bad_batch` or `engine_bad_range`; a closed engine with `Unavailable`,
 * code `engine_closed`. Methods may be called concurrently; writes to one key take effect in the order of the calls.
 */
export interface Engine {
  readonly name: EngineName;
  /**
   * A named set of entries; cheap, the same name is the same table.
   * @param name 1 to 63 of `a-z0-9_`, starting with a letter.
   */
  table(name: string): Table;
  /**
   * Applies all of `ops`, over any tables, if every precondition holds, and none of them otherwise. One step for all
   * tasks and processes that share the database, and for a crash: nobody ever finds some of it done. Readers of
   * several entries may still see the state before for one and after for another. Values are copied before the call
   * returns. At most {@link MAX_BATCH_ENTRIES} operations and preconditions, and {@link MAX_BATCH_BYTES} of their keys
   * and values; no two operations on one key. With `sync` it is flushed as a whole.
   * @returns false when a precondition did not hold; nothing is changed then.
   * @throws ConfigInvalid, code `batch_across_engines`, when its tables are kept in different engines; QuotaExceeded
   * when the disk is full; Corrupt when what a precondition asks about is damaged.
   */
  batch(
    ops: readonly BatchOp[],
    preconditions?: readonly Precondition[],
    options?: WriteOptions,
  ): Promise<boolean>;
  /**
   * A mark that differs from an earlier one if another process may have written in between, and is cheap to ask for;
   * undefined where only looking tells.
   */
  revision(): Promise<string | undefined>;
  /**
   * A number that grows whenever what was read or written before may be gone: a standby that lagged took over, say, or an
   * earlier state came back. Left out: that cannot be while it is open.
   */
  history?(): number;
  /** Waits for what is in flight, then releases everything. Idempotent. */
  close(): Promise<void>;
}

export type EngineName = 'level' | 'memory' | 'postgres';

export interface Table {
  /** A copy of the value, or undefined. @throws Corrupt when the stored bytes are damaged. */
  get(key: string, options?: AbortOptions): Promise<Uint8Array | undefined>;
  /** The value is copied before the call returns. @throws QuotaExceeded when the disk is full. */
  put(key: string, value: Uint8Array, options?: WriteOptions): Promise<void>;
  /** Idempotent: deleting what is not there resolves. */
  delete(key: string, options?: WriteOptions): Promise<void>;
  /**
   * Replaces the value if it is still `expected`, byte for byte; undefined on either side stands for "no entry".
   * Atomic among all tasks and processes that share the database.
   * @returns false when the value was another one; nothing is changed then.
   */
  compareAndSet(
    key: string,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
    options?: WriteOptions,
  ): Promise<boolean>;
  /**
   * Entries in the order of the keys' UTF-8 bytes. Each key comes at most once; entries written or deleted while
   * iterating may or may not be seen. Holds no lock between pages, however slow the consumer is.
   */
  entries(options?: EntriesOptions): AsyncIterable<readonly [key: string, value: Uint8Array]>;
}

/** Writes one entry; a value of undefined deletes it, also where it is not there. */
export interface BatchOp {
  readonly table: string;
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/** What an entry must hold, byte for byte; undefined: it must not be there. */
export interface Precondition {
  readonly table: string;
  readonly key: string;
  readonly expected: Uint8Array | undefined;
}

export interface WriteOptions extends AbortOptions {
  /** True: resolves once the write would outlive a power cut. Default false: it outlives the process. */
  readonly sync?: boolean | undefined;
}

/** The bounds are combined: an entry must satisfy all that are given. */
export interface EntriesOptions extends AbortOptions {
  readonly gte?: string | undefined;
  readonly lt?: string | undefined;
  readonly prefix?: string | undefined;
  readonly limit?: number | undefined;
  readonly reverse?: boolean | undefined;
  /** Called for an entry whose stored bytes are damaged, which is then left out. Default: the iteration fails with Corrupt. */
  readonly onDamaged?: ((key: string) => void) | undefined;
}

/** Longest key, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 1024;
export const MAX_VALUE_BYTES: number = 16 * 1024 ** 2;
/** Operations and preconditions of one batch. */
export const MAX_BATCH_ENTRIES = 4096;
export const MAX_BATCH_BYTES: number = 4 * MAX_VALUE_BYTES;
