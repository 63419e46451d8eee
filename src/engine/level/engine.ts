import { type AbortOptions, abortable, throwIfAborted } from '../../core/abort.ts';
import { entryOf } from '../../core/maps.ts';
import {
  checkBatch,
  checkKey,
  checkRange,
  checkTableName,
  checkValue,
  placeOf,
  sameValue,
} from '../check.ts';
import type { BatchOp, EntriesOptions, Precondition, Table, WriteOptions } from '../engine.ts';
import { KeyedMutex } from '../keyed-mutex.ts';
import type { Mark, MovableEngine } from '../movable.ts';
import { decodeRecord, encodeRecord, recordKey } from '../record.ts';
import { type Database, folderRevision } from './connection.ts';
import { DatabaseLease, type LeaseOptions } from './lease.ts';
import { readMark, writeMark } from './mark.ts';
import { readPage, tableNames } from './page.ts';
import { type StoredWrite, writerOf } from './writer.ts';

export interface LevelEngineOptions extends LeaseOptions {}

/**
 * The embedded engine: one LevelDB folder, made when first used. Any number of processes may use it; they take
 * turns. An operation waits up to `lockWaitMs` for its turn, then rejects with `Unavailable`, code `engine_locked`.
 */
export function createLevelEngine(options: LevelEngineOptions): MovableEngine {
  return new LevelEngine(options);
}

class LevelEngine implements MovableEngine {
  readonly name = 'level';
  readonly lease: DatabaseLease;
  readonly #tables = new Map<string, LevelTable>();
  readonly #writes = new KeyedMutex();
  readonly #location: string;
  #closing: Promise<void> | undefined;

  constructor(options: LevelEngineOptions) {
    this.#location = options.location;
    this.lease = new DatabaseLease(options);
  }

  table(name: string): Table {
    checkTableName(name);
    return entryOf(this.#tables, name, () => new LevelTable(this, name));
  }

  async batch(
    ops: readonly BatchOp[],
    preconditions: readonly Precondition[] = [],
    options: WriteOptions = {},
  ): Promise<boolean> {
    return this.write('batch', ops, preconditions, options);
  }

  /** The turns of the keys and the lease are kept until the write is over, even when the caller has left. */
  async write(
    operation: string,
    ops: readonly BatchOp[],
    preconditions: readonly Precondition[],
    { signal, sync = false }: WriteOptions,
  ): Promise<boolean> {
    throwIfAborted(signal, operation);
    checkBatch(ops, preconditions);
    const writes = ops.map(storedWrite);
    const wanted = preconditions.map(({ table, key, expected }) => ({
      stored: recordKey(table, key),
      expected: expected && Uint8Array.from(expected),
    }));
    const work = async (database: Database): Promise<boolean> => {
      for (const { stored, expected } of wanted) {
        if (!sameValue(await read(database, stored), expected)) return false;
      }
      if (writes.length > 0) await writerOf(database).write(writes, sync);
      return true;
    };
    const turns = [...ops, ...preconditions].map(({ table, key }) => placeOf(table, key));
    const done = this.#writes.runAll(turns, () => this.lease.use(work, signal), signal);
    return abortable(done, signal, operation);
  }

  revision(): Promise<string | undefined> {
    return folderRevision(this.#location);
  }

  tables(): Promise<readonly string[]> {
    return this.lease.use(tableNames);
  }

  mark(): Promise<Mark | undefined> {
    return readMark(this.#location);
  }

  /** Under the lock, so that others have finished by then, and see it when they have it next. */
  async setMark(mark: Mark | undefined): Promise<void> {
    await this.lease.use(() => writeMark(this.#location, mark));
    await this.lease.release();
  }

  close(): Promise<void> {
    this.#closing ??= this.lease.close();
    return this.#closing;
  }
}

function storedWrite({ table, key, value }: BatchOp): StoredWrite {
  const stored = recordKey(table, key);
  return value === undefined
    ? { type: 'del', key: stored }
    : { type: 'put', key: stored, value: encodeRecord(stored, value) };
}

class LevelTable implements Table {
  readonly #engine: LevelEngine;
  readonly #name: string;

  constructor(engine: LevelEngine, name: string) {
    this.#engine = engine;
    this.#name = name;
  }

  async get(key: string, { signal }: AbortOptions = {}): Promise<Uint8Array | undefined> {
    throwIfAborted(signal, 'get');
    const stored = recordKey(this.#name, checkKey(key));
    return abortable(
      this.#engine.lease.use((database) => read(database, stored), signal),
      signal,
      'get',
    );
  }

  async put(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<void> {
    const op = { table: this.#name, key, value: checkValue(value) };
    await this.#engine.write('put', [op], [], options);
  }

  async delete(key: string, options: WriteOptions = {}): Promise<void> {
    await this.#engine.write('delete', [{ table: this.#name, key, value: undefined }], [], options);
  }

  compareAndSet(
    key: string,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
    options: WriteOptions = {},
  ): Promise<boolean> {
    const entry = { table: this.#name, key };
    // Of what is not there and is not to be nothing is written.
    const ops = expected === undefined && next === undefined ? [] : [{ ...entry, value: next }];
    return this.#engine.write('compareAndSet', ops, [{ ...entry, expected }], options);
  }

  async *entries(options: EntriesOptions = {}): AsyncGenerator<readonly [string, Uint8Array]> {
    throwIfAborted(options.signal, 'entries');
    const { signal, limit = Number.POSITIVE_INFINITY } = checkRange(options);
    let left = limit;
    let after: string | undefined;
    while (left > 0) {
      const from = after;
      const page = await abortable(
        this.#engine.lease.use((database) => readPage(database, this.#name, options, from, left), signal),
        signal,
        'entries',
      );
      for (const entry of page.entries) {
        throwIfAborted(signal, 'entries');
        yield entry;
      }
      if (page.done) return;
      left -= page.entries.length;
      after = page.last;
    }
  }
}

async function read(database: Database, stored: Uint8Array): Promise<Uint8Array | undefined> {
  const record = await database.get(stored);
  return record === undefined ? undefined : decodeRecord(stored, record);
}
