import { type AbortOptions, abortable, throwIfAborted } from '../../core/abort.ts';
import { toHex } from '../../core/bytes.ts';
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
import type { BatchOp, EntriesOptions, Precondition, Table, WriteOptions } from '../engine.ts';
import { KeyedMutex } from '../keyed-mutex.ts';
import { encodeMark, type Mark, type MovableEngine, markIn } from '../movable.ts';
import { decodeRecord, recordKey } from '../record.ts';
import { postgresFailure } from './failure.ts';
import { OwnerLeases } from './owners.ts';
import { type Ask, readPage } from './page.ts';
import { type PoolOptions, SessionPool } from './pool.ts';
import type { Parameter, Row } from './session.ts';
import { applyWrite, prepareWrite } from './write.ts';

export interface PostgresEngineOptions extends PoolOptions {}

/** Besides, it knows who works on its records. */
export interface SharedEngine extends MovableEngine {
  history(): number;
  owners(leaseMs: number): OwnerLeases;
}

/**
 * An engine that many processes on many machines share: one schema of a PostgreSQL database, made when first used. An
 * operation outlasts a server that starts anew, up to `waitMs`, and then rejects with `Unavailable`, code
 * `engine_unreachable`; a write of which nobody can tell what became of it, with code `engine_outcome_unknown`.
 */
export function createPostgresEngine(options: PostgresEngineOptions): SharedEngine {
  return new PostgresEngine(options);
}

class PostgresEngine implements SharedEngine {
  readonly name = 'postgres';
  readonly pool: SessionPool;
  readonly #tables = new Map<string, PostgresTable>();
  readonly #writes = new KeyedMutex();
  #owners: OwnerLeases | undefined;
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

  history(): number {
    return this.pool.history;
  }

  async tables(): Promise<readonly string[]> {
    const names: string[] = [];
    // One look at the index for each, however many entries there are.
    for (;;) {
      const [row] = await this.#ask(
        (schema) => `SELECT tab FROM ${schema}.entries WHERE tab > $1 ORDER BY tab LIMIT 1`,
        [names.at(-1) ?? ''],
      );
      if (row === undefined) return names;
      names.push(row.tab as string);
    }
  }

  async mark(): Promise<Mark | undefined> {
    const [row] = await this.#ask((schema) => `SELECT mark FROM ${schema}.meta WHERE mark IS NOT NULL`);
    return row && markIn(Buffer.from(row.mark as string));
  }

  async setMark(mark: Mark | undefined): Promise<void> {
    const text = mark === undefined ? 'NULL' : `convert_from('\\x${toHex(encodeMark(mark))}', 'UTF8')`;
    await this.#ask((schema) => `SELECT ${schema}.set_mark(${text})`);
  }

  /** Who works on these records, each for `leaseMs` at a time; let go of with the engine. */
  owners(leaseMs: number): OwnerLeases {
    const { clock, random } = this.pool.options;
    this.#owners ??= new OwnerLeases({ ask: (...asked) => this.#ask(...asked), leaseMs, clock, random });
    return this.#owners;
  }

  #ask(
    statement: (schema: string) => string,
    parameters: readonly Parameter[] = [],
    waitMs?: number,
  ): Promise<readonly Row[]> {
    const { pool } = this;
    const asked = pool.use(
      (slot, deadline) =>
        pool.ask(slot, deadline, (session) => session.query(statement(pool.options.schema), parameters)),
      undefined,
      waitMs,
    );
    return asked.catch(rethrow);
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    await this.#owners?.close();
    await this.pool.close();
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
