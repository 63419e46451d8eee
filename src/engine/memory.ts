import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import { entryOf } from '../core/maps.ts';
import { checkKey, checkRange, checkTableName, checkValue, engineClosed } from './check.ts';
import type { Engine, EntriesOptions, Table, WriteOptions } from './engine.ts';
import { compareKeys } from './key-order.ts';
import { sameValue } from './same-value.ts';

/** Keeps everything in this process's memory: for tests, and for nodes that must forget on exit. */
export function createMemoryEngine(): Engine {
  return new MemoryEngine();
}

class MemoryEngine implements Engine {
  readonly name = 'memory';
  readonly #tables = new Map<string, MemoryTable>();
  readonly #state = { closed: false };

  table(name: string): Table {
    checkTableName(name);
    return entryOf(this.#tables, name, () => new MemoryTable(this.#state));
  }

  async revision(): Promise<undefined> {
    return undefined;
  }

  async close(): Promise<void> {
    this.#state.closed = true;
    this.#tables.clear();
  }
}

/** Every step runs without a gap between reading and writing, so it is atomic by itself. */
class MemoryTable implements Table {
  readonly #state: { readonly closed: boolean };
  readonly #values = new Map<string, Uint8Array>();

  constructor(state: { readonly closed: boolean }) {
    this.#state = state;
  }

  async get(key: string, options: AbortOptions = {}): Promise<Uint8Array | undefined> {
    this.#enter('get', options);
    return this.#values.get(checkKey(key))?.slice();
  }

  async put(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<void> {
    this.#enter('put', options);
    this.#set(checkKey(key), checkValue(value));
  }

  async delete(key: string, options: WriteOptions = {}): Promise<void> {
    this.#enter('delete', options);
    this.#set(checkKey(key), undefined);
  }

  async compareAndSet(
    key: string,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
    options: WriteOptions = {},
  ): Promise<boolean> {
    this.#enter('compareAndSet', options);
    checkKey(key);
    if (expected !== undefined) checkValue(expected);
    if (next !== undefined) checkValue(next);
    if (!sameValue(this.#values.get(key), expected)) return false;
    this.#set(key, next);
    return true;
  }

  async *entries(options: EntriesOptions = {}): AsyncGenerator<readonly [string, Uint8Array]> {
    this.#enter('entries', options);
    const { gte, lt, prefix = '', limit = Number.POSITIVE_INFINITY, reverse = false } = checkRange(options);
    const keys = [...this.#values.keys()].filter(
      (key) =>
        key.startsWith(prefix) &&
        (gte === undefined || compareKeys(key, gte) >= 0) &&
        (lt === undefined || compareKeys(key, lt) < 0),
    );
    keys.sort(reverse ? (a, b) => compareKeys(b, a) : compareKeys);
    let left = limit;
    for (const key of keys) {
      if (left <= 0) return;
      this.#enter('entries', options);
      const value = this.#values.get(key);
      if (value === undefined) continue;
      yield [key, value.slice()];
      left--;
    }
  }

  #enter(operation: string, options: AbortOptions): void {
    throwIfAborted(options.signal, operation);
    if (this.#state.closed) throw engineClosed();
  }

  #set(key: string, value: Uint8Array | undefined): void {
    if (value === undefined) this.#values.delete(key);
    else this.#values.set(key, Uint8Array.from(value));
  }
}
