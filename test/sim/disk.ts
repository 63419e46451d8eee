import { HoldfastError } from '../../src/core/errors.ts';
import type { BatchOp, Engine, EntriesOptions, Table, WriteOptions } from '../../src/engine/engine.ts';
import { createMemoryEngine } from '../../src/engine/index.ts';
import type { Stream } from './streams.ts';
import type { Life, World } from './world.ts';

/** A state folder: what was written, in order, and how much of it has been flushed. */
export class StateDisk {
  full = false;
  live: Engine = createMemoryEngine();
  #log: (readonly BatchOp[])[] = [];
  #flushed = 0;

  wrote(ops: readonly BatchOp[]): void {
    this.#log.push(
      ops.map(({ table, key, value }) => ({ table, key, value: value && Uint8Array.from(value) })),
    );
  }

  flush(): void {
    this.#flushed = this.#log.length;
  }

  /** A copy of the folder, as a backup takes it. */
  backup(): number {
    return this.#log.length;
  }

  /** What was flushed is there, and of the rest as much as chance leaves. */
  async powerCut(chance: Stream): Promise<void> {
    await this.goBackTo(chance.between(this.#flushed, this.#log.length));
  }

  /** The folder is what it was when so much had been written. */
  async goBackTo(length: number): Promise<void> {
    this.#log = this.#log.slice(0, length);
    this.#flushed = this.#log.length;
    this.live = createMemoryEngine();
    for (const ops of this.#log) await this.live.batch(ops);
  }
}

/** The engine of one process on a state that others may have open too. */
export function engineOn(disk: StateDisk, world: World, life: Life, chance: Stream): Engine {
  let closed = false;
  const enter = async (): Promise<void> => {
    if (closed) throw new HoldfastError('Unavailable', 'the engine was closed', { code: 'engine_closed' });
    if (chance.chance(0.25)) await life.sleep(0.05 + chance.next());
  };
  const write = async (
    ops: readonly BatchOp[],
    apply: () => Promise<boolean>,
    { sync = false }: WriteOptions,
  ): Promise<boolean> => {
    await enter();
    if (disk.full && ops.some(({ value }) => value !== undefined)) {
      world.count('fault disk full');
      throw new HoldfastError('QuotaExceeded', 'the disk is full', { code: 'engine_full' });
    }
    const done = await apply();
    if (done) disk.wrote(ops);
    if (!sync) return done;
    await life.sleep(0.5 + 4 * chance.next());
    disk.flush();
    return done;
  };
  const copy = (value: Uint8Array | undefined): Uint8Array | undefined => value && Uint8Array.from(value);
  const tableOf = (table: string): Table => {
    const on = (): Table => disk.live.table(table);
    return {
      async get(key, options) {
        await enter();
        return on().get(key, options);
      },
      async put(key, given, options = {}) {
        const value = copy(given)!;
        await write(
          [{ table, key, value }],
          () =>
            on()
              .put(key, value, options)
              .then(() => true),
          options,
        );
      },
      async delete(key, options = {}) {
        const ops = [{ table, key, value: undefined }];
        await write(
          ops,
          () =>
            on()
              .delete(key, options)
              .then(() => true),
          options,
        );
      },
      compareAndSet(key, expected, given, options = {}) {
        const next = copy(given);
        const apply = (): Promise<boolean> => on().compareAndSet(key, expected, next, options);
        return write([{ table, key, value: next }], apply, options);
      },
      async *entries(options?: EntriesOptions) {
        await enter();
        yield* on().entries(options);
      },
    };
  };
  return {
    name: 'memory',
    table: tableOf,
    batch(given, preconditions = [], options = {}) {
      const ops = given.map((op) => ({ ...op, value: copy(op.value) }));
      return write(ops, () => disk.live.batch(ops, preconditions, options), options);
    },
    revision: async () => undefined,
    close: async () => {
      closed = true;
    },
  };
}
