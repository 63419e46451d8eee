import { HoldfastError } from '../../src/core/errors.ts';
import type { BatchOp, Engine, EntriesOptions, Table, WriteOptions } from '../../src/engine/engine.ts';
import { createMemoryEngine } from '../../src/engine/index.ts';
import type { SealedRecords } from './sealed.ts';
import type { Stream, Streams } from './streams.ts';
import type { Watch } from './watch.ts';
import type { Life, World } from './world.ts';

/** Tables that can be made again of names, slots and objects: damage in them stops nothing. */
const DERIVED = [
  'name_index',
  'manifests',
  'manifest_order',
  'manifest_times',
  'manifest_usage',
  'provider_profiles',
  'provider_usage',
  'provider_last_failure',
  'places',
];

/** Tables of what is still to be done, which nothing can make again. */
export const BACKLOG = ['journal', 'trash', 'retired', 'slots_due'] as const;

/** Tables of who looks after the state: damage in them costs work, and stops none. */
const UPKEEP = [
  'damage',
  'shard_classes',
  'shard_index',
  'shard_due',
  'repair_leases',
  'repair_backoff',
  'repair_egress',
  'repair_pace',
];

/** What of a state is damaged. */
export type Rot = 'derived' | 'name' | 'backlog' | 'upkeep';

/** A state folder: what was written, in order, how much of it has been flushed, and what of it is damaged. */
export class StateDisk {
  full = false;
  /** How often a read or a write fails. */
  errors = 0;
  live: Engine = createMemoryEngine();
  /** Records that no longer match their checksum: `<table> <key>`. */
  readonly damaged = new Set<string>();
  #log: (readonly BatchOp[])[] = [];
  #flushed = 0;

  wrote(ops: readonly BatchOp[]): void {
    for (const { table, key } of ops) this.damaged.delete(`${table} ${key}`);
    this.#log.push(
      ops.map(({ table, key, value }) => ({ table, key, value: value && Uint8Array.from(value) })),
    );
  }

  /** How much has been written: what a backup of the folder holds, or what a flush that begins now will. */
  get written(): number {
    return this.#log.length;
  }

  flushed(written: number): void {
    this.#flushed = Math.max(this.#flushed, Math.min(written, this.#log.length));
  }

  /** What was flushed is there, and of the rest as much as chance leaves. */
  async powerCut(chance: Stream): Promise<void> {
    const flushedOnly = chance.chance(0.5);
    await this.goBackTo(flushedOnly ? this.#flushed : chance.between(this.#flushed, this.#log.length));
  }

  /** The folder is what it was when so much had been written. */
  async goBackTo(written: number): Promise<void> {
    this.#log = this.#log.slice(0, written);
    this.#flushed = this.#log.length;
    this.live = createMemoryEngine();
    for (const ops of this.#log) await this.live.batch(ops);
    const there = new Set<string>();
    for (const table of BACKLOG) for (const record of await this.#recordsOf(table)) there.add(record);
    for (const record of this.damaged) {
      if (BACKLOG.some((table) => record.startsWith(`${table} `)) && !there.has(record))
        this.damaged.delete(record);
    }
  }

  async copy(): Promise<StateDisk> {
    const copy = new StateDisk();
    copy.#log = [...this.#log];
    await copy.goBackTo(this.#log.length);
    return copy;
  }

  /** Damages one record. @returns false where there is none. */
  async rot(what: Rot, chance: Stream): Promise<boolean> {
    const tables = {
      derived: () => [chance.pick(DERIVED)],
      name: () => ['names'],
      backlog: () => BACKLOG,
      upkeep: () => UPKEEP,
    };
    const records: string[] = [];
    for (const table of tables[what]()) records.push(...(await this.#recordsOf(table)));
    if (records.length === 0) return false;
    this.damaged.add(chance.pick(records));
    return true;
  }

  async #recordsOf(table: string): Promise<string[]> {
    const records: string[] = [];
    for await (const [key] of this.live.table(table).entries()) records.push(`${table} ${key}`);
    return records;
  }

  /** Somebody takes out what can be read no more of what is to be done, and of a journal all the rest. */
  async dropDamagedBacklog(): Promise<void> {
    const ops: BatchOp[] = [];
    for (const table of BACKLOG) {
      for (const record of await this.#recordsOf(table)) {
        const key = record.slice(table.length + 1);
        if (this.isStuck(table, key)) ops.push({ table, key, value: undefined });
      }
    }
    await this.live.batch(ops);
    this.wrote(ops);
  }

  /** Whether a record is damaged, or one of a journal of which another is. */
  isStuck(table: string, key: string): boolean {
    if (table !== 'journal') return this.damaged.has(`${table} ${key}`);
    const id = key.split('/')[0]!;
    return [...this.damaged].some((record) => record.startsWith(`journal ${id}`));
  }
}

interface Surroundings {
  readonly world: World;
  readonly streams: Streams;
  readonly records: SealedRecords;
  readonly watch: Watch | undefined;
}

/** The engine of one process on a state that others may have open too. */
export function engineOn(
  disk: StateDisk,
  { world, streams, records, watch }: Surroundings,
  life: Life,
): Engine {
  const { schedule: chance, disk: errors } = streams;
  let closed = false;
  const enter = async (): Promise<void> => {
    if (closed) throw new HoldfastError('Unavailable', 'the engine was closed', { code: 'engine_closed' });
    if (chance.chance(0.25)) await life.sleep(0.05 + chance.next());
  };
  const fails = (): boolean => disk.errors > 0 && errors.chance(disk.errors);
  const enterRead = async (): Promise<void> => {
    await enter();
    if (!fails()) return;
    world.fired('disk error on read');
    throw diskError();
  };
  const checkIntact = (table: string, key: string): void => {
    if (disk.damaged.has(`${table} ${key}`)) throw damagedRecord();
  };
  const write = async (
    ops: readonly BatchOp[],
    asked: readonly { readonly table: string; readonly key: string }[],
    apply: () => Promise<boolean>,
    { sync = false }: WriteOptions,
  ): Promise<boolean> => {
    await enter();
    if (disk.full && ops.some(({ value }) => value !== undefined)) {
      world.fired('full disk');
      throw new HoldfastError('QuotaExceeded', 'the disk is full', { code: 'engine_full' });
    }
    for (const { table, key } of asked) checkIntact(table, key);
    const fault = fails() ? errors.pick(['before', 'after'] as const) : undefined;
    if (fault !== undefined) world.fired(`disk error ${fault} a write`);
    if (fault === 'before') throw diskError();
    const written = await watch?.writing(life, ops);
    const done = await apply();
    if (done) disk.wrote(ops);
    if (done) await written?.();
    for (const { table, key, value } of ops) if (value !== undefined) records.inEngine(table, key, value);
    // It may be there, and may be gone after a power cut: its sender knows neither.
    if (fault === 'after') throw diskError();
    if (!sync) return done;
    const length = disk.written;
    await life.sleep(0.5 + 4 * chance.next());
    disk.flushed(length);
    return done;
  };
  const copy = (value: Uint8Array | undefined): Uint8Array | undefined => value && Uint8Array.from(value);
  const tableOf = (table: string): Table => {
    const on = (): Table => disk.live.table(table);
    const done = (work: Promise<void>): Promise<boolean> => work.then(() => true);
    return {
      async get(key, options) {
        await enterRead();
        checkIntact(table, key);
        return on().get(key, options);
      },
      async put(key, given, options = {}) {
        const value = copy(given)!;
        await write([{ table, key, value }], [], () => done(on().put(key, value, options)), options);
      },
      async delete(key, options = {}) {
        const ops = [{ table, key, value: undefined }];
        await write(ops, [], () => done(on().delete(key, options)), options);
      },
      compareAndSet(key, expected, given, options = {}) {
        const next = copy(given);
        const apply = (): Promise<boolean> => on().compareAndSet(key, expected, next, options);
        return write([{ table, key, value: next }], [{ table, key }], apply, options);
      },
      async *entries(options: EntriesOptions = {}) {
        await enterRead();
        for await (const entry of on().entries(options)) {
          if (!disk.damaged.has(`${table} ${entry[0]}`)) yield entry;
          else if (options.onDamaged === undefined) throw damagedRecord();
          else options.onDamaged(entry[0]);
        }
      },
    };
  };
  return {
    name: 'memory',
    table: tableOf,
    batch(given, preconditions = [], options = {}) {
      const ops = given.map((op) => ({ ...op, value: copy(op.value) }));
      return write(ops, preconditions, () => disk.live.batch(ops, preconditions, options), options);
    },
    revision: async () => undefined,
    close: async () => {
      closed = true;
    },
  };
}

const diskError = (): HoldfastError =>
  new HoldfastError('Unavailable', 'the database cannot be used', { code: 'engine_io' });

const damagedRecord = (): HoldfastError =>
  new HoldfastError('Corrupt', 'a record does not match its checksum', { code: 'engine_corrupt' });
