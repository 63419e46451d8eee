import { type AbortOptions, abortable, throwIfAborted } from '../../core/abort.ts';
import { entryOf } from '../../core/maps.ts';
import { checkKey, checkRange, checkTableName, checkValue } from '../check.ts';
import type { Engine, EntriesOptions, Table, WriteOptions } from '../engine.ts';

import { KeyedMutex } from '../keyed-mutex.ts';
import { sameValue } from '../same-value.ts';
import { type Database, folderRevision } from './connection.ts';
import { DatabaseLease, type LeaseOptions } from './lease.ts';
import { readPage } from './page.ts';
import { decodeRecord, encodeRecord, recordKey } from './record.ts';

export interface LevelEngineOptions extends LeaseOptions {}

/**
 * The embedded engine: one LevelDB folder, made when first used. Any number of processes may use it; they take
 * turns. An operation waits up to `lockWaitMs` for its turn, then rejects with `Unavailable`, code `engine_locked`.
 */
export function createLevelEngine(options: LevelEngineOptions): Engine {
  return new LevelEngine(options);
}

class LevelEngine implements Engine {
  readonly name = 'level';
  readonly #lease: DatabaseLease;
  readonly #tables = new Map<string, LevelTable>();
  readonly #writes = new KeyedMutex();
  readonly #location: string;
  #closing: Promise<void> | undefined;

  constructor(options: LevelEngineOptions) {
    this.#location = options.location;
    this.#lease = new DatabaseLease(options);
  }

  table(name: string): Table {
    checkTableName(name);
    return entryOf(this.#tables, name, () => new LevelTable(name, this.#lease, this.#writes));
  }

  revision(): Promise<string | undefined> {
    return folderRevision(this.#location);
  }

  close(): Promise<void> {
    this.#closing ??= this.#lease.close();
    return this.#closing;
  }
}

class LevelTable implements Table {
  readonly #name: string;
  readonly #lease: DatabaseLease;
  readonly #writes: KeyedMutex;

  constructor(name: string, lease: DatabaseLease, writes: KeyedMutex) {
    this.#name = name;
    this.#lease = lease;
    this.#writes = writes;
  }

  async get(key: string, { signal }: AbortOptions = {}): Promise<Uint8Array | undefined> {
    throwIfAborted(signal, 'get');
    const stored = recordKey(this.#name, checkKey(key));
    return abortable(
      this.#lease.use((database) => read(database, stored), signal),
      signal,
      'get',
    );
  }

  async put(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<void> {
    throwIfAborted(options.signal, 'put');
    const stored = recordKey(this.#name, checkKey(key));
    const record = encodeRecord(stored, checkValue(value));
    await this.#write('put', key, options, (database) =>
      database.put(stored, record, { sync: options.sync ?? false }),
    );
  }

  async delete(key: string, options: WriteOptions = {}): Promise<void> {
    throwIfAborted(options.signal, 'delete');
    const stored = recordKey(this.#name, checkKey(key));
    await this.#write('delete', key, options, (database) =>
      database.del(stored, { sync: options.sync ?? false }),
    );
  }

  async compareAndSet(
    key: string,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
    options: WriteOptions = {},
  ): Promise<boolean> {
    throwIfAborted(options.signal, 'compareAndSet');
    const stored = recordKey(this.#name, checkKey(key));
    const wanted = expected === undefined ? undefined : Uint8Array.from(checkValue(expected));
    const record = next === undefined ? undefined : encodeRecord(stored, checkValue(next));
    const sync = options.sync ?? false;
    return this.#write('compareAndSet', key, options, async (database) => {
      if (!sameValue(await read(database, stored), wanted)) return false;
      if (record !== undefined) await database.put(stored, record, { sync });
      else if (wanted !== undefined) await database.del(stored, { sync });
      return true;
    });
  }

  async *entries(options: EntriesOptions = {}): AsyncGenerator<readonly [string, Uint8Array]> {
    throwIfAborted(options.signal, 'entries');
    const { signal, limit = Number.POSITIVE_INFINITY } = checkRange(options);
    let left = limit;
    let after: string | undefined;
    while (left > 0) {
      const from = after;
      const page = await abortable(
        this.#lease.use((database) => readPage(database, this.#name, options, from, left), signal),
        signal,
        'entries',
      );
      for (const entry of page.entries) {
        throwIfAborted(signal, 'entries');
        yield entry;
      }
      if (page.done) return;
      left -= page.entries.length;
      after = page.entries.at(-1)?.[0];
    }
  }

  /** The turn of the key and the lease are kept until the write is over, even when the caller has left. */
  #write<T>(
    operation: string,
    key: string,
    { signal }: AbortOptions,
    work: (database: Database) => Promise<T>,
  ): Promise<T> {
    const turn = `${this.#name}:${key}`;
    const done = this.#writes.run(turn, () => this.#lease.use(work, signal), signal);
    return abortable(done, signal, operation);
  }
}

async function read(database: Database, stored: Uint8Array): Promise<Uint8Array | undefined> {
  const record = await database.get(stored);
  return record === undefined ? undefined : decodeRecord(stored, record);
}
