import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import { compareUtf8 } from '../core/bytes.ts';
import { entryOf } from '../core/maps.ts';
import {
  checkBatch,
  checkKey,
  checkRange,
  checkTableName,
  checkValue,
  engineClosed,
  sameValue,
} from './check.ts';
import type { BatchOp, Engine, EntriesOptions, Precondition, Table, WriteOptions } from './engine.ts';
import type { Mark, MovableEngine } from './movable.ts';

/** Keeps everything in this process's memory: for tests, and for nodes that must forget on exit. */
export function createMemoryEngine(): Engine {
  return createMemoryStore();
}

/** The same, for records that are moved there. */
export function createMemoryStore(): MovableEngine {
  return new MemoryEngine();
}

/** Every step runs without a gap between reading and writing, so it is atomic by itself. */
class MemoryEngine implements MovableEngine {
  readonly name = 'memory';
  readonly #tables = new Map<string, MemoryTable>();
  #mark: Mark | undefined;
  #closed = false;

  table(name: string): MemoryTable {
    checkTableName(name);
    return entryOf(this.#tables, name, () => new MemoryTable(this, name));
  }

  async batch(
    ops: readonly BatchOp[],
    preconditions: readonly Precondition[] = [],
    options: WriteOptions = {},
  ): Promise<boolean> {
    return this.write('batch', ops, preconditions, options);
  }

  write(
    operation: string,
    ops: readonly BatchOp[],
    preconditions: readonly Precondition[],
    options: WriteOptions,
  ): boolean {
    this.enter(operation, options);
    checkBatch(ops, preconditions);
    const holds = preconditions.every(({ table, key, expected }) =>
      sameValue(this.table(table).values.get(key), expected),
    );
    if (!holds) return false;
    for (const { table, key, value } of ops) {
      const { values } = this.table(table);
      if (value === undefined) values.delete(key);
      else values.set(key, Uint8Array.from(value));
    }
    return true;
  }

  enter(operation: string, options: AbortOptions): void {
    throwIfAborted(options.signal, operation);
    if (this.#closed) throw engineClosed();
  }

  async revision(): Promise<undefined> {
    return undefined;
  }

  async tables(): Promise<readonly string[]> {
    return [...this.#tables].filter(([, { values }]) => values.size > 0).map(([name]) => name);
  }

  async mark(): Promise<Mark | undefined> {
    return this.#mark;
  }

  async setMark(mark: Mark | undefined): Promise<void> {
    this.#mark = mark;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#tables.clear();
  }
}

class MemoryTable implements Table {
  readonly values = new Map<string, Uint8Array>();
  readonly #engine: MemoryEngine;
  readonly #name: string;

  constructor(engine: MemoryEngine, name: string) {
    this.#engine = engine;
    this.#name = name;
  }

  async get(key: string, options: AbortOptions = {}): Promise<Uint8Array | undefined> {
    this.#engine.enter('get', options);
    return this.values.get(checkKey(key))?.slice();
  }

  async put(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<void> {
    this.#engine.write('put', [{ table: this.#name, key, value: checkValue(value) }], [], options);
  }

  async delete(key: string, options: WriteOptions = {}): Promise<void> {
    this.#engine.write('delete', [{ table: this.#name, key, value: undefined }], [], options);
  }

  async compareAndSet(
    key: string,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
    options: WriteOptions = {},
  ): Promise<boolean> {
    const entry = { table: this.#name, key };
    return this.#engine.write(
      'compareAndSet',
      [{ ...entry, value: next }],
      [{ ...entry, expected }],
      options,
    );
  }

  async *entries(options: EntriesOptions = {}): AsyncGenerator<readonly [string, Uint8Array]> {
    this.#engine.enter('entries', options);
    const { gte, lt, prefix = '', limit = Number.POSITIVE_INFINITY, reverse = false } = checkRange(options);
    const keys = [...this.values.keys()].filter(
      (key) =>
        key.startsWith(prefix) &&
        (gte === undefined || compareUtf8(key, gte) >= 0) &&
        (lt === undefined || compareUtf8(key, lt) < 0),
    );
    keys.sort(reverse ? (a, b) => compareUtf8(b, a) : compareUtf8);
    let left = limit;
    for (const key of keys) {
      if (left <= 0) return;
      this.#engine.enter('entries', options);
      const value = this.values.get(key);
      if (value === undefined) continue;
      yield [key, value.slice()];
      left--;
    }
  }
}
