import { createHash } from 'node:crypto';
import type { AbortOptions } from '../core/abort.ts';
import { utf8Decode, utf8Encode } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';
import type { BatchOp } from './engine.ts';
import type { MovableEngine } from './movable.ts';

/** How far a copy has come, kept in the store that is filled. */
const PROGRESS_IN = 'migration';
const PROGRESS_KEY = 'progress';
/** What is written, flushed, in one step. */
const STEP = { entries: 1000, bytes: 4 * 1024 ** 2 } as const;

export interface CopyProgress {
  readonly table: string;
  readonly records: number;
  readonly bytes: number;
}

export interface CopyOptions extends AbortOptions {
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
}

interface Reached extends CopyProgress {
  /** The last key of that table that was copied. */
  readonly after: string;
}

/**
 * Copies every table, in the order of names and keys, and goes on where an earlier run of it was ended: how far it has
 * come is written in the step that writes the entries.
 * @returns records that an earlier run had copied.
 * @throws HoldfastError `Corrupt` for a record that is damaged; `Conflict`, code `engine_in_use`, where another run copies too.
 */
export async function copyRecords(
  from: MovableEngine,
  to: MovableEngine,
  options: CopyOptions = {},
): Promise<number> {
  const { signal, onProgress } = options;
  let written = await to.table(PROGRESS_IN).get(PROGRESS_KEY, { signal });
  let reached = written && (JSON.parse(utf8Decode(written)) as Reached);
  const before = reached?.records ?? 0;
  for (const table of await tablesOf(from)) {
    if (reached !== undefined && table < reached.table) continue;
    const gte = reached?.table === table ? reached.after : undefined;
    let ops: BatchOp[] = [];
    let bytes = 0;
    const step = async (): Promise<void> => {
      const last = ops.at(-1);
      if (last === undefined) return;
      const records = (reached?.records ?? 0) + ops.length;
      reached = { table, after: last.key, records, bytes: (reached?.bytes ?? 0) + bytes };
      const value = utf8Encode(JSON.stringify({ v: 1, ...reached }));
      const progress = { table: PROGRESS_IN, key: PROGRESS_KEY };
      const isAlone = await to.batch([...ops, { ...progress, value }], [{ ...progress, expected: written }], {
        sync: true,
        signal,
      });
      if (!isAlone) throw anotherRun();
      written = value;
      [ops, bytes] = [[], 0];
      onProgress?.(reached);
    };
    for await (const [key, value] of from.table(table).entries({ gte, signal })) {
      if (key === gte) continue;
      ops.push({ table, key, value });
      bytes += value.length;
      if (ops.length === STEP.entries || bytes >= STEP.bytes) await step();
    }
    await step();
  }
  return before;
}

/** Takes away what {@link copyRecords} wrote for itself. */
export const endCopy = (to: MovableEngine): Promise<void> =>
  to.table(PROGRESS_IN).delete(PROGRESS_KEY, { sync: true });

/** One that was slower would write over what was changed in the new place since. */
const anotherRun = (): HoldfastError =>
  new HoldfastError('Conflict', 'another run copies to the same place', {
    code: 'engine_in_use',
    hint: 'Wait for that `holdfast migrate`, or end it and run it again.',
  });

/** In the order of their names. */
const tablesOf = async (engine: MovableEngine): Promise<string[]> =>
  (await engine.tables()).filter((name) => name !== PROGRESS_IN).toSorted();

export interface Contents {
  readonly records: number;
  readonly bytes: number;
  /** SHA-256 over the checksums of the tables. */
  readonly checksum: string;
  /** Table to the SHA-256 of its entries. */
  readonly tables: ReadonlyMap<string, string>;
}

/** Reads everything: names of tables, keys and values, each with its length before it, in their order. */
export async function contentsOf(engine: MovableEngine, options: CopyOptions = {}): Promise<Contents> {
  const tables = new Map<string, string>();
  let records = 0;
  let bytes = 0;
  for (const table of await tablesOf(engine)) {
    const hash = createHash('sha256');
    const add = (part: Uint8Array): void => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(part.length);
      hash.update(length).update(part);
    };
    for await (const [key, value] of engine.table(table).entries({ signal: options.signal })) {
      add(utf8Encode(key));
      add(value);
      bytes += value.length;
      if (++records % STEP.entries === 0) options.onProgress?.({ table, records, bytes });
    }
    tables.set(table, hash.digest('hex'));
  }
  const all = createHash('sha256');
  for (const [table, checksum] of tables) all.update(`${table} ${checksum}\n`);
  return { records, bytes, checksum: all.digest('hex'), tables };
}

/** @throws HoldfastError `Corrupt`, code `engine_copy_differs`, which names the tables. */
export function requireSame(from: Contents, to: Contents): void {
  if (from.checksum === to.checksum && from.records === to.records) return;
  const names = [...new Set([...from.tables.keys(), ...to.tables.keys()])];
  const differing = names.filter((name) => from.tables.get(name) !== to.tables.get(name));
  throw new HoldfastError('Corrupt', `the copy differs from the original in ${differing.join(', ')}`, {
    code: 'engine_copy_differs',
    hint: 'Nothing of the original was changed. Empty the new place and run `holdfast migrate` again; if it stays so, check the memory and disk of this machine.',
    context: { tables: differing },
  });
}
