import type { AbortOptions } from '../../core/abort.ts';
import { toHex, utf8Encode } from '../../core/bytes.ts';
import { recordedTime } from '../../core/clock.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import type { BatchOp } from '../../engine/engine.ts';
import {
  ACCOUNT_TABLE,
  DONE_TABLE,
  ENTRY_TABLE,
  encodeAccount,
  encodeDone,
  encodeHead,
  entryKey,
  HEAD_KEY,
  HEAD_TABLE,
  type LedgerHead,
  NO_DIGEST,
  REBUILD_KEY,
} from './entries.ts';
import { Ledger, type LedgerOptions } from './ledger.ts';
import { type FundTotals, type LedgerPlan, planOf } from './rebuild-plan.ts';
import { type FoundLedger, readRebuildMark, readWhatIsThere } from './rebuild-read.ts';

/** What a ledger that was damaged is built anew from, and what comes of it. */
export interface LedgerRebuild {
  /** Nothing was wrong, and nothing is changed. */
  readonly isWhole: boolean;
  /** Entries that stay as they are, byte for byte. */
  readonly kept: number;
  /** Entries with the same booking that are chained anew, behind one that was lost. */
  readonly chained: number;
  /** What was lost and follows exactly from the accounts and the marks. */
  readonly recovered: readonly string[];
  /** What is lost: hours among it are booked again by their roots, by the configuration as it is. The first 1,000. */
  readonly lost: readonly string[];
  /** Accounts that have another balance than before, in bytes; undefined: it could not be read, or there was none. */
  readonly changed: readonly {
    readonly account: string;
    readonly before: bigint | undefined;
    readonly after: bigint;
  }[];
}

export interface RebuildOptions extends LedgerOptions {
  readonly random: RandomBytes;
  /** All that was ever put into the funds, in bytes of credit, by the configuration. */
  readonly funded: FundTotals;
}

/** Well below what a batch may have. */
const MAX_OPS = 256;
const MAX_NAMED = 1_000;

/**
 * Builds a ledger anew that is damaged, out of what is whole of it. Nothing is booked meanwhile: who would finds
 * `ledger_rebuilding`. Cut off, it is gone on with by the next call; of two at once the later one goes on.
 * @param options.dryRun says what would come of it.
 * @throws HoldfastError `Corrupt`, code `ledger_damaged`, where more was paid than is known to have been put in; `Conflict`,
 * code `ledger_rebuilding`.
 */
export async function rebuildLedger(
  options: RebuildOptions,
  { dryRun = false, signal }: AbortOptions & { readonly dryRun?: boolean } = {},
): Promise<LedgerRebuild> {
  const { engine } = options;
  if (await isWhole(options, { signal })) return NOTHING;
  const before = await readRebuildMark(engine, { signal });
  const mark = dryRun ? undefined : await takeOver(options, before.bytes, before.done);
  const found = await readWhatIsThere(options, before.done, { signal });
  const plan = planOf(found, options.funded, recordedTime(options.clock), options.blake3);
  if (mark !== undefined) await write(options, found, plan, mark, { signal });
  return {
    ...{ isWhole: false, kept: plan.kept, chained: plan.chained, recovered: plan.recovered },
    lost: plan.lost.slice(0, MAX_NAMED),
    changed: [...plan.balances]
      .map(([account, after]) => ({ account, before: found.accounts.get(account), after }))
      .filter((one) => one.before !== one.after),
  };
}

const NOTHING: LedgerRebuild = {
  ...{ isWhole: true, kept: 0, chained: 0, recovered: [], lost: [], changed: [] },
};

async function isWhole(options: LedgerOptions, within: AbortOptions): Promise<boolean> {
  try {
    await new Ledger(options).check(within);
    return true;
  } catch (error) {
    if (isHoldfastError(error) && ['ledger_damaged', 'ledger_rebuilding'].includes(error.code)) return false;
    throw error;
  }
}

/** Says that the ledger is being rebuilt, and by whom. */
interface RebuildMark {
  readonly nonce: string;
  /** Its bytes as they are in the engine. */
  bytes: Uint8Array;
}

const encodeMark = (nonce: string, done: number): Uint8Array =>
  utf8Encode(JSON.stringify({ v: 1, nonce, done }));

async function takeOver(
  { engine, random }: RebuildOptions,
  before: Uint8Array | undefined,
  done: number,
): Promise<RebuildMark> {
  const nonce = toHex(random(8));
  const bytes = encodeMark(nonce, done);
  const table = engine.table(HEAD_TABLE);
  if (!(await table.compareAndSet(REBUILD_KEY, before, bytes, { sync: true }))) throw takenOver();
  return { nonce, bytes };
}

/**
 * Entries first, in their order, each batch with how far it has come: no entry moves behind its old place, so none is written
 * over before it stands at its new one. Then what follows of them, and last the head.
 */
async function write(
  { engine }: RebuildOptions,
  found: FoundLedger,
  plan: LedgerPlan,
  mark: RebuildMark,
  options: AbortOptions,
): Promise<void> {
  const step = async (ops: readonly BatchOp[], done: number | 'end'): Promise<void> => {
    const bytes = done === 'end' ? undefined : encodeMark(mark.nonce, done);
    const isDone = await engine.batch(
      [...ops, { table: HEAD_TABLE, key: REBUILD_KEY, value: bytes }],
      [{ table: HEAD_TABLE, key: REBUILD_KEY, expected: mark.bytes }],
      { ...options, sync: true },
    );
    if (!isDone) throw takenOver();
    if (bytes !== undefined) mark.bytes = bytes;
  };
  const { entries } = plan;
  for (let from = 0; from < entries.length; from += MAX_OPS) {
    const some = entries.slice(from, from + MAX_OPS);
    const ops = some.map(({ entry, bytes }) => ({
      table: ENTRY_TABLE,
      key: entryKey(entry.seq),
      value: bytes,
    }));
    await step(ops, some.at(-1)!.entry.seq);
  }
  const rest = [...leftOver(found, plan), ...following(plan)];
  for (let from = 0; from < rest.length; from += MAX_OPS)
    await step(rest.slice(from, from + MAX_OPS), entries.length);
  const last = entries.at(-1);
  const head: LedgerHead = { seq: last?.entry.seq ?? 0, digest: last?.digest ?? NO_DIGEST };
  await step(
    [{ table: HEAD_TABLE, key: HEAD_KEY, value: last === undefined ? undefined : encodeHead(head) }],
    'end',
  );
}

function* following({ entries, balances }: LedgerPlan): Generator<BatchOp> {
  for (const { entry } of entries)
    yield { table: DONE_TABLE, key: entry.id, value: encodeDone({ seq: entry.seq, digest: entry.digest }) };
  for (const [account, balance] of balances)
    yield { table: ACCOUNT_TABLE, key: account, value: encodeAccount(balance) };
}

/** What is there and belongs to nothing. */
function* leftOver(found: FoundLedger, { entries, balances }: LedgerPlan): Generator<BatchOp> {
  const ids = new Set(entries.map(({ entry }) => entry.id));
  const keys = new Set(entries.map(({ entry }) => entryKey(entry.seq)));
  for (const key of found.keys.entries)
    if (!keys.has(key)) yield { table: ENTRY_TABLE, key, value: undefined };
  for (const key of found.keys.marks) if (!ids.has(key)) yield { table: DONE_TABLE, key, value: undefined };
  for (const key of found.keys.accounts)
    if (!balances.has(key)) yield { table: ACCOUNT_TABLE, key, value: undefined };
}

const takenOver = (): HoldfastError =>
  new HoldfastError('Conflict', 'another process rebuilds the ledger', {
    code: 'ledger_rebuilding',
    status: 'temporary',
    hint: 'Let it come to its end, and look again.',
  });
