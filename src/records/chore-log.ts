import type { AbortOptions } from '../core/abort.ts';
import { utf8Decode, utf8Encode } from '../core/bytes.ts';
import { isCount } from '../core/counts.ts';
import { isHoldfastError } from '../core/errors.ts';
import type { Engine } from '../engine/engine.ts';
import { UPKEEP_TABLE } from './usage.ts';

const KEY = 'chores';
/** Longer messages of errors are cut. */
const MAX_MESSAGE = 300;
/** Chores and providers that are remembered. */
const MAX_KEPT = 256;

/** How something of housekeeping last went. Times in milliseconds since 1970. */
export interface ChoreRecord {
  /** When it was last done to its end. */
  readonly doneMs?: number | undefined;
  /** When it last failed, and why; undefined once it was done since. */
  readonly failedMs?: number | undefined;
  readonly error?: string | undefined;
  /** How often it has failed since it was done. */
  readonly failures: number;
}

/** What housekeeping remembers of its runs, so that the next one, or `status`, knows. */
export interface ChoreLog {
  /** By name of the chore. */
  readonly chores: ReadonlyMap<string, ChoreRecord>;
  /** Providers at which something failed and was not done since. */
  readonly providers: ReadonlyMap<string, ChoreRecord>;
  /** Runs, one after another, that were cut off because the command had ended. */
  readonly cutOff: number;
}

/** Empty where there is none, or a damaged one. */
export async function readChoreLog(
  { engine }: { readonly engine: Engine },
  options: AbortOptions = {},
): Promise<ChoreLog> {
  const stored = await storedLog(engine, options);
  return stored === 'damaged' ? NOTHING_KNOWN : logIn(stored);
}

/** Others may write it meanwhile so often. */
const MAX_ROUNDS = 8;

/** Not flushed: it is derived, and the next run writes it anew. What others write meanwhile stays. */
export async function changeChoreLog(
  { engine }: { readonly engine: Engine },
  change: (before: ChoreLog) => ChoreLog,
): Promise<void> {
  const table = engine.table(UPKEEP_TABLE);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const stored = await storedLog(engine, {});
    const { chores, providers, cutOff } = change(stored === 'damaged' ? NOTHING_KNOWN : logIn(stored));
    const record = { v: 1, cut_off: cutOff, chores: coded(chores), providers: coded(providers) };
    const next = utf8Encode(JSON.stringify(record));
    if (stored === 'damaged') return table.put(KEY, next);
    if (await table.compareAndSet(KEY, stored, next)) return;
  }
}

const NOTHING_KNOWN: ChoreLog = { chores: new Map(), providers: new Map(), cutOff: 0 };

async function storedLog(engine: Engine, options: AbortOptions): Promise<Uint8Array | 'damaged' | undefined> {
  try {
    return await engine.table(UPKEEP_TABLE).get(KEY, options);
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return 'damaged';
    throw error;
  }
}

const coded = (records: ReadonlyMap<string, ChoreRecord>): Record<string, unknown> =>
  Object.fromEntries(
    [...records].slice(0, MAX_KEPT).map(([name, { doneMs, failedMs, error, failures }]) => {
      return [name, { done: doneMs, failed: failedMs, error: error?.slice(0, MAX_MESSAGE), failures }];
    }),
  );

function logIn(stored: Uint8Array | undefined): ChoreLog {
  if (stored === undefined) return NOTHING_KNOWN;
  try {
    const { v, cut_off: cutOff, chores, providers } = JSON.parse(utf8Decode(stored));
    if (v !== 1 || !isCount(cutOff)) return NOTHING_KNOWN;
    return { cutOff, chores: recordsIn(chores), providers: recordsIn(providers) };
  } catch {
    return NOTHING_KNOWN;
  }
}

/** What of it is not as it should be is left out. */
function recordsIn(records: Readonly<Record<string, Record<string, unknown>>>): Map<string, ChoreRecord> {
  const read = new Map<string, ChoreRecord>();
  for (const [name, { done, failed, error, failures }] of Object.entries(records)) {
    if (!isCount(failures)) continue;
    read.set(name, {
      doneMs: isCount(done) ? done : undefined,
      failedMs: isCount(failed) ? failed : undefined,
      error: typeof error === 'string' ? error : undefined,
      failures,
    });
  }
  return read;
}
