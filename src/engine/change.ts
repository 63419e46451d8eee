import { HoldfastError } from '../core/errors.ts';
import { type Engine, MAX_BATCH_ENTRIES, type Table, type WriteOptions } from './engine.ts';

/** What an entry becomes; undefined: there is none. May run several times. What it throws fails that entry alone. */
export type Change = (stored: Uint8Array | undefined) => Uint8Array;

/** Rivals each win at least one of these rounds, so this many lost in a row means something else is wrong. */
const MAX_ROUNDS = 64;
/** Each is compared and written. */
const MOST_AT_ONCE = MAX_BATCH_ENTRIES / 2;

/**
 * Replaces entries of a table by changes of them, however many processes change them, and loses no change. Many cost no
 * more reads and writes of the engine than a few.
 * @returns why entries were not changed; all others were.
 * @throws Conflict after {@link MAX_ROUNDS} lost rounds, and what the engine throws: some may have been changed.
 */
export async function changeEntries(
  engine: Engine,
  table: string,
  changes: ReadonlyMap<string, Change>,
  options: WriteOptions = {},
): Promise<ReadonlyMap<string, unknown>> {
  const failures = new Map<string, unknown>();
  const all = [...changes];
  for (let at = 0; at < all.length; at += MOST_AT_ONCE)
    await changeSome(engine, table, all.slice(at, at + MOST_AT_ONCE), failures, options);
  return failures;
}

async function changeSome(
  engine: Engine,
  table: string,
  changes: readonly (readonly [string, Change])[],
  failures: Map<string, unknown>,
  options: WriteOptions,
): Promise<void> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const left = changes.filter(([key]) => !failures.has(key));
    const stored = await readAll(engine.table(table), left, failures, options);
    const written = left.flatMap(([key, change]) => {
      const expected = stored.get(key);
      try {
        return failures.has(key) ? [] : [{ table, key, expected, value: change(expected) }];
      } catch (error) {
        failures.set(key, error);
        return [];
      }
    });
    if (written.length === 0 || (await engine.batch(written, written, options))) return;
  }
  throw new HoldfastError('Conflict', `entries of ${table} keep changing under this process`, {
    status: 'temporary',
  });
}

/** Few are asked for one by one; of many, all that the table holds are read. */
async function readAll(
  table: Table,
  wanted: readonly (readonly [string, Change])[],
  failures: Map<string, unknown>,
  options: WriteOptions,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const stored = new Map<string, Uint8Array>();
  const damaged: string[] = [];
  const get = async (key: string): Promise<void> => {
    try {
      const value = await table.get(key, options);
      if (value !== undefined) stored.set(key, value);
    } catch (error) {
      failures.set(key, error);
    }
  };
  if (wanted.length < 3) for (const [key] of wanted) await get(key);
  else {
    const keys = new Set(wanted.map(([key]) => key));
    const onDamaged = (key: string): void => void (keys.has(key) && damaged.push(key));
    for await (const [key, value] of table.entries({ ...options, onDamaged }))
      if (keys.has(key)) stored.set(key, value);
    for (const key of damaged) await get(key);
  }
  return stored;
}
