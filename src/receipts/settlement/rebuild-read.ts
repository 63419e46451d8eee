import type { AbortOptions } from '../../core/abort.ts';
import type { Blake3 } from '../../core/b3/blake3.ts';
import { utf8Decode } from '../../core/bytes.ts';
import { isCount } from '../../core/counts.ts';
import { isHoldfastError } from '../../core/errors.ts';
import type { Engine } from '../../engine/engine.ts';
import {
  ACCOUNT_TABLE,
  DONE_TABLE,
  type DoneMark,
  decodeAccount,
  decodeDone,
  decodeEntry,
  decodeHead,
  ENTRY_TABLE,
  HEAD_KEY,
  HEAD_TABLE,
  type LedgerEntry,
  type LedgerHead,
  REBUILD_KEY,
} from './entries.ts';

export interface FoundEntry {
  readonly entry: LedgerEntry;
  readonly bytes: Uint8Array;
  readonly digest: Uint8Array;
}

/** What can be read of a ledger. */
export interface FoundLedger {
  /** By their numbers. */
  readonly entries: ReadonlyMap<number, FoundEntry>;
  /** By their ids. */
  readonly marks: ReadonlyMap<string, DoneMark>;
  readonly accounts: ReadonlyMap<string, bigint>;
  readonly head: LedgerHead | undefined;
  /** Entries up to this number were written by a rebuild that was cut off: what follows is chained to others. */
  readonly done: number;
  /** All there are, also those that cannot be read. */
  readonly keys: {
    readonly entries: readonly string[];
    readonly marks: readonly string[];
    readonly accounts: readonly string[];
  };
}

interface Parts {
  readonly engine: Engine;
  readonly blake3: Pick<Blake3, 'hash'>;
}

/** All of it is held in memory: about a KiB for each entry. */
export async function readWhatIsThere(
  { engine, blake3 }: Parts,
  done: number,
  options: AbortOptions,
): Promise<FoundLedger> {
  const entries = new Map<number, FoundEntry>();
  const marks = new Map<string, DoneMark>();
  const accounts = new Map<string, bigint>();
  const keys = {
    entries: await readTable(engine, ENTRY_TABLE, options, (key, bytes) => {
      const entry = decodeEntry(bytes, key);
      entries.set(entry.seq, { entry, bytes, digest: blake3.hash(bytes) });
    }),
    marks: await readTable(engine, DONE_TABLE, options, (key, bytes) =>
      marks.set(key, decodeDone(bytes, key)),
    ),
    accounts: await readTable(engine, ACCOUNT_TABLE, options, (key, bytes) =>
      accounts.set(key, decodeAccount(bytes, key)),
    ),
  };
  const head = await readOr(undefined, async () => {
    const bytes = await engine.table(HEAD_TABLE).get(HEAD_KEY, options);
    return bytes && decodeHead(bytes);
  });
  return { entries, marks, accounts, head, done, keys };
}

/** @returns every key. */
async function readTable(
  engine: Engine,
  name: string,
  options: AbortOptions,
  take: (key: string, bytes: Uint8Array) => unknown,
): Promise<string[]> {
  const keys: string[] = [];
  const onDamaged = (key: string): void => void keys.push(key);
  for await (const [key, bytes] of engine.table(name).entries({ ...options, onDamaged })) {
    keys.push(key);
    await readOr(undefined, async () => take(key, bytes));
  }
  return keys;
}

async function readOr<T>(otherwise: T, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return otherwise;
    throw error;
  }
}

/** Of a rebuild that was begun: the record, and the number of the last entry that it wrote. */
export async function readRebuildMark(
  engine: Engine,
  options: AbortOptions,
): Promise<{ readonly bytes: Uint8Array | undefined; readonly done: number }> {
  const bytes = await engine.table(HEAD_TABLE).get(REBUILD_KEY, options);
  if (bytes === undefined) return { bytes, done: 0 };
  try {
    const { done } = JSON.parse(utf8Decode(bytes)) as { done?: unknown };
    return { bytes, done: isCount(done) ? (done as number) : 0 };
  } catch {
    return { bytes, done: 0 };
  }
}
