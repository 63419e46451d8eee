import { type AbortOptions, abortable, throwIfAborted } from '../../core/abort.ts';
import { entryOf } from '../../core/maps.ts';
import {
  checkBatch,
  checkKey,
  checkRange,
  checkTableName,
  checkValue,
  engineClosed,
  placeOf,
} from '../check.ts';
import type { BatchOp, Engine, EntriesOptions, Precondition, Table, WriteOptions } from '../engine.ts';
import { KeyedMutex } from '../keyed-mutex.ts';
import { decodeRecord, recordKey } from '../record.ts';
import { postgresFailure } from './failure.ts';
import { type Ask, readPage } from './page.ts';
import { type PoolOptions, SessionPool } from './pool.ts';
import { applyWrite, prepareWrite } from './write.ts';

export interface PostgresEngineOptions extends PoolOptions {}

/**
 * An engine that many processes on many machines share: one schema of a PostgreSQL database, made when first used. An
 * operation outlasts a server that starts anew, up to `waitMs`, and then rejects with `Unavailable`, code
 * `engine_unreachable`; a write of which nobody can tell what became of it, with code `engine_outcome_unknown`.
 */
export function createPostgresEngine(options: PostgresEngineOptions): Engine {
  return new PostgresEngine(options);
}

class PostgresEngine implements Engine {
  readonly name = 'postgres';
  readonly pool: SessionPool;
  readonly #tables = new Map<string, PostgresTable>();
  readonly #writes = new KeyedMutex();
  #closing: Promise<void> | undefined;

  constructor(options: PostgresEngineOptions) {
    this.pool = new SessionPool(options);
  }

  table(name: string): Table {
    checkTableName(name);
    return entryOf(this.#tables, name, () => new PostgresTable(this, name));
  }

  async batch(
    ops: readonly BatchOp[],
    preconditions: readonly Precondition[] = [],
    options: WriteOptions = {},
  ): Promise<boolean> {
    return this.write('batch', ops, preconditions, options);
  }

  /** The turns of the keys are kept until the write is over, even when the caller has left. */
  async write(
    operation: string,
    ops: readonly BatchOp[],
    preconditions: readonly Precondition[],
    { signal, sync = false }: WriteOptions,
  ): Promise<boolean> {
    throwIfAborted(signal, operation);
    if (this.#closing !== undefined) throw engineClosed();
    checkBatch(ops, preconditions);
    const write = prepareWrite(ops, preconditions, sync);
    if (write === undefined) return false;
    const turns = [...ops, ...preconditions].map(({ table, key }) => placeOf(table, key));
    const work = (): Promise<boolean> =>
      this.pool.use((slot, deadline) => applyWrite(this.pool, slot, deadline, write), signal);
    return abortable(this.#writes.runAll(turns, work, signal).catch(rethrow), signal, operation);
  }

  /** Others write all the time, and only looking tells. */
  async revision(): Promise<undefined> {
    return undefined;
  }

  close(): Promise<void> {
    this.#closing ??= this.pool.close();
    return this.#closing;
  }
}

const rethrow = (error: unknown): never => {
  throw postgresFailure(error);
};

class PostgresTable implements Table {
  readonly #engine: PostgresEngine;
  readonly #name: string;

  constructor(engine: PostgresEngine, name: string) {
    this.#engine = engine;
    this.#name = name;
  }

  async get(key: string, { signal }: AbortOptions = {}): Promise<Uint8Array | undefined> {
    throwIfAborted(signal, 'get');
    const { pool } = this.#engine;
    const statement = `SELECT value FROM ${pool.options.schema}.entries WHERE tab = $1 AND key = $2`;
    const parameters = [this.#name, Buffer.from(checkKey(key))];
    const asked = pool.use(
      (slot, deadline) => pool.ask(slot, deadline, (session) => session.query(statement, parameters)),
      signal,
    );
    const [row] = await abortable(asked.catch(rethrow), signal, 'get');
    return row && decodeRecord(recordKey(this.#name, key), row.value as Uint8Array);
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
    const { pool } = this.#engine;
    let left = limit;
    let after: string | undefined;
    while (left > 0) {
      const from = after;
      const reading = pool.use((slot, deadline) => {
        const ask: Ask = (statement, parameters) =>
          pool.ask(slot, deadline, (session) => session.query(statement, parameters));
        return readPage(ask, pool.options.schema, this.#name, options, from, left);
      }, signal);
      const page = await abortable(reading.catch(rethrow), signal, 'entries');
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
