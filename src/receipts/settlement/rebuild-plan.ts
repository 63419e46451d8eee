import type { Blake3 } from '../../core/b3/blake3.ts';
import { equalBytes } from '../../core/bytes.ts';
import {
  type Booking,
  encodeEntry,
  type Fund,
  type LedgerEntry,
  ledgerDamaged,
  MAX_POSTINGS,
  mayOwe,
  NO_DIGEST,
  ownerAccount,
  type Posting,
} from './entries.ts';
import type { FoundEntry, FoundLedger } from './rebuild-read.ts';

/** In bytes of credit. */
export type FundTotals = Readonly<Record<Fund, bigint>>;

/** A ledger as it is to be. */
export interface LedgerPlan {
  readonly entries: readonly FoundEntry[];
  readonly balances: ReadonlyMap<string, bigint>;
  readonly kept: number;
  readonly chained: number;
  readonly recovered: readonly string[];
  readonly lost: readonly string[];
}

/**
 * What is whole stays, in its order. What is not follows exactly from the accounts and the marks where all of those can be
 * read: the first booking that is lost gets what the accounts have beyond the other entries, the others of them nothing, and
 * every balance is as it was. Else it is lost.
 */
export function planOf(
  found: FoundLedger,
  funded: FundTotals,
  now: number,
  blake3: Pick<Blake3, 'hash'>,
): LedgerPlan {
  const whole = believed(found);
  const bookings: Made[] = [...whole.values()].map(({ entry }) => entry);
  const left = difference(found.accounts, bookings);
  const missing = left.length <= MAX_POSTINGS ? recoverable(found, whole) : undefined;
  for (const [i, one] of (missing ?? []).entries())
    bookings.push({ ...one, postings: i === 0 ? left : [], unpaid: [], at: now });
  bookings.sort((a, b) => a.seq - b.seq);
  const ids = new Set(bookings.map(({ id }) => id));
  const last = bookings.at(-1)?.seq ?? 0;
  bookings.push(
    ...refills(balancesOf(bookings), funded, ids).map((one, i) => ({ ...one, seq: last + 1 + i, at: now })),
  );
  const entries = chained(bookings, blake3);
  const kept = entries.filter(({ entry, bytes }) => isSame(found.entries.get(entry.seq), bytes)).length;
  const recovered = (missing ?? []).map(({ id }) => id);
  return {
    ...{ entries, balances: balancesOf(bookings), kept, recovered },
    chained: whole.size - kept,
    lost: [...found.marks.keys()].filter((id) => !ids.has(id)),
  };
}

const isSame = (one: FoundEntry | undefined, bytes: Uint8Array): boolean =>
  one !== undefined && equalBytes(one.bytes, bytes);

interface Made extends Booking {
  /** Where it stood. */
  readonly seq: number;
  readonly at: number;
}

/** Entries that no entry behind them, nor the head, names by another digest, and each id once: the first. By their numbers. */
function believed({ entries, head, done }: FoundLedger): Map<number, FoundEntry> {
  const seqs = [...entries.keys()].sort((a, b) => b - a);
  const right: FoundEntry[] = [];
  let next: FoundEntry | undefined;
  for (const seq of seqs) {
    const one = entries.get(seq)!;
    const isNamed = next?.entry.seq === seq + 1 && seq !== done;
    const named = isNamed ? next!.entry.previous : head?.seq === seq && seq > done ? head.digest : undefined;
    if (named !== undefined && !equalBytes(named, one.digest)) {
      next = undefined;
      continue;
    }
    right.push(one);
    next = one;
  }
  const ids = new Set<string>();
  const kept = new Map<number, FoundEntry>();
  for (const one of right.reverse()) {
    if (ids.has(one.entry.id)) continue;
    ids.add(one.entry.id);
    kept.set(one.entry.seq, one);
  }
  return kept;
}

/** What stood where nothing is believed, by the marks; undefined where it cannot be told, or the accounts cannot be read. */
function recoverable(
  { marks, accounts, keys, head, done }: FoundLedger,
  whole: ReadonlyMap<number, FoundEntry>,
): Pick<Made, 'seq' | 'id' | 'digest'>[] | undefined {
  if (marks.size !== keys.marks.length || accounts.size !== keys.accounts.length) return undefined;
  const sum = [...accounts.values()].reduce((total, one) => total + one, 0n);
  const ids = new Set([...whole.values()].map(({ entry }) => entry.id));
  const last = [...whole.keys(), head?.seq ?? 0].reduce((most, one) => (one > most ? one : most), done);
  // One mark for each entry: with fewer or more, some of them are lost or made up.
  if (sum !== 0n || marks.size !== last) return undefined;
  const missing = [...marks].filter(([id]) => !ids.has(id)).map(([id, mark]) => ({ id, ...mark }));
  const places = new Set(missing.map(({ seq }) => seq));
  const isRight = missing.every(({ seq }) => seq >= 1 && seq <= last && !whole.has(seq));
  if (!isRight || places.size !== missing.length || missing.length + whole.size !== last) return undefined;
  return missing.sort((a, b) => a.seq - b.seq);
}

/** What the accounts have beyond what was booked. */
function difference(accounts: ReadonlyMap<string, bigint>, bookings: readonly Booking[]): Posting[] {
  const booked = balancesOf(bookings);
  const names = new Set([...accounts.keys(), ...booked.keys()]);
  return [...names]
    .sort()
    .map((account) => ({ account, amount: (accounts.get(account) ?? 0n) - (booked.get(account) ?? 0n) }))
    .filter(({ amount }) => amount !== 0n);
}

function balancesOf(bookings: readonly Pick<Booking, 'postings'>[]): Map<string, bigint> {
  const balances = new Map<string, bigint>();
  for (const { postings } of bookings)
    for (const { account, amount } of postings) balances.set(account, (balances.get(account) ?? 0n) + amount);
  return balances;
}

/** Where it is lost that something was put in, a fund has paid more than it had: the configuration says what there was. */
function refills(
  balances: ReadonlyMap<string, bigint>,
  funded: FundTotals,
  ids: ReadonlySet<string>,
): Booking[] {
  const made: Booking[] = [];
  for (const [account, balance] of balances) {
    if (balance >= 0n || mayOwe(account)) continue;
    const fund = account as Fund;
    const total = funded[fund] ?? 0n;
    const amount = total + (balances.get(ownerAccount(fund)) ?? 0n);
    const id = `fund/${fund}/${total}`;
    if (balance + amount < 0n || ids.has(id))
      throw ledgerDamaged(
        `account ${account}`,
        `it paid ${-balance} bytes of credit more than is known to have been put in`,
      );
    const postings = [
      { account: ownerAccount(fund), amount: -amount },
      { account: fund, amount },
    ];
    made.push({ id, digest: '', postings, unpaid: [] });
  }
  return made;
}

/** Numbered from 1, each with the digest of the one before it. */
function chained(bookings: readonly Made[], blake3: Pick<Blake3, 'hash'>): FoundEntry[] {
  let previous = NO_DIGEST;
  return bookings.map(({ id, at, digest, postings, unpaid }, i) => {
    const entry: LedgerEntry = { seq: i + 1, id, at, digest, previous, postings, unpaid };
    const bytes = encodeEntry(entry);
    previous = blake3.hash(bytes);
    return { entry, bytes, digest: previous };
  });
}
