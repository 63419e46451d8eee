import type { BatchOperation } from 'level';
import { entryOf } from '../../core/maps.ts';
import type { Database } from './connection.ts';

export type StoredWrite = BatchOperation<Database, Uint8Array, Uint8Array>;

/** One step of LevelDB. */
interface Group {
  readonly writes: StoredWrite[];
  bytes: number;
  sync: boolean;
  readonly done: Promise<void>;
}

/** What goes into one step with others. */
const MAX_TOGETHER = { writes: 4096, bytes: 4 * 1024 ** 2 };

/**
 * Writes to an open database one step at a time; who comes meanwhile goes together in the next. A write that fails may
 * leave a torn record in LevelDB's log, which hides what LevelDB goes on to acknowledge behind it: so nothing is written
 * behind it, and whoever waits fails with it.
 */
class Writer {
  readonly #database: Database;
  /** The latest step: none begins before it was done. */
  #latest: Promise<void> = Promise.resolve();
  /** The next, while it has not begun. */
  #next: Group | undefined;

  constructor(database: Database) {
    this.#database = database;
  }

  write(writes: readonly StoredWrite[], sync: boolean): Promise<void> {
    const bytes = writes.reduce((sum, write) => sum + (write.type === 'put' ? write.value.length : 0), 0);
    const next = this.#next;
    const joins =
      next !== undefined &&
      next.writes.length + writes.length <= MAX_TOGETHER.writes &&
      next.bytes + bytes <= MAX_TOGETHER.bytes;
    const group = joins ? next : this.#begin();
    group.writes.push(...writes);
    group.bytes += bytes;
    group.sync ||= sync;
    return group.done;
  }

  #begin(): Group {
    const done: Promise<void> = this.#latest.then(() => {
      if (this.#next === group) this.#next = undefined;
      return this.#database.batch(group.writes, { sync: group.sync });
    });
    const group: Group = { writes: [], bytes: 0, sync: false, done };
    this.#latest = done;
    this.#next = group;
    return group;
  }
}

const writers = new WeakMap<Database, Writer>();

/** Of each open database the one through which all writes go. */
export const writerOf = (database: Database): Writer =>
  entryOf(writers, database, () => new Writer(database));
