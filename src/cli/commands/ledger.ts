import { CREDIT_BYTES } from '../../catalog/quota.ts';
import type { LedgerEntry } from '../../receipts/settlement/entries.ts';
import { withLedger } from '../../vault/open-ledger.ts';
import { isUnsettled, type SettleResult } from '../../vault/settlement.ts';
import { configOf, noteWarnings } from '../config-of.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import type { CliContext, CommonFlags, ConfigFlags } from '../flags.ts';
import { counted, isoTime, table } from '../format.ts';
import { note, output } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { collected, withVault } from '../with-vault.ts';

/** Whole credits, and the bytes of the next: `12 + 345 B`. */
export function credits(bytes: bigint): string {
  const unit = BigInt(CREDIT_BYTES);
  const sign = bytes < 0n ? '-' : '';
  const size = bytes < 0n ? -bytes : bytes;
  return `${sign}${size / unit}${size % unit === 0n ? '' : ` + ${size % unit} B`}`;
}

export async function settle(this: CliContext, flags: CommonFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const result = await withVault(io, { ...flags, sealed: true }, (vault) =>
      vault.settleReceipts({ signal: io.signal }),
    );
    output(io, flags.json, result, () => [...settled(result)].join('\n'));
    return exitOf(result);
  });
}

export function exitOf(result: SettleResult): ExitCode {
  const states = result.folders.flatMap(({ epochs }) => epochs.map(({ state }) => state));
  if (states.some((state) => state === 'refused' || state === 'lost')) return EXIT.integrity;
  return isUnsettled(result) ? EXIT.notEnough : EXIT.done;
}

export function* settled({ folders, rentHours }: SettleResult): Generator<string> {
  for (const { folder, epochs, error } of folders) {
    yield folder;
    if (error !== undefined) yield `  ${error.message}`;
    else if (epochs.length === 0) yield '  every closed hour is credited';
    for (const { epoch, state, depth, why } of epochs) {
      const how = state === 'confirming' ? `confirming, ${depth} deep so far` : state;
      yield `  epoch ${epoch}  ${why === undefined ? how : `${how}: ${why}`}`;
    }
  }
  if (rentHours > 0) yield `rent of ${counted(rentHours, 'hour')} is paid`;
}

/** Every entry and every account is checked. */
export async function balances(this: CliContext, flags: ConfigFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const config = await configOf(flags, io);
    noteWarnings(config, io);
    const { seq, balances: all } = await withLedger(config, io.env, (ledger) =>
      ledger.check({ signal: io.signal }),
    );
    const accounts = [...all].sort(([a], [b]) => (a < b ? -1 : 1));
    const [debits, held] = [sumOf(accounts, (one) => one < 0n), sumOf(accounts, (one) => one > 0n)];
    const data = {
      entries: seq,
      debits: `${-debits}`,
      credits: `${held}`,
      accounts: accounts.map(([account, bytes]) => ({ account, bytes: `${bytes}` })),
    };
    output(io, flags.json, data, () =>
      [
        table([['account', 'credits'], ...accounts.map(([account, bytes]) => [account, credits(bytes)])]),
        `${seq} ${seq === 1 ? 'entry' : 'entries'}, all checked; debits ${credits(-debits)} equal credits ${credits(held)}`,
      ].join('\n'),
    );
    return undefined;
  });
}

const sumOf = (accounts: readonly (readonly [string, bigint])[], which: (bytes: bigint) => boolean): bigint =>
  accounts.reduce((sum, [, bytes]) => (which(bytes) ? sum + bytes : sum), 0n);

export interface LedgerFlags extends ConfigFlags {
  readonly limit: number;
}

export async function ledger(this: CliContext, flags: LedgerFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const config = await configOf(flags, io);
    noteWarnings(config, io);
    const found = await withLedger(config, io.env, (one) =>
      collected(one.entries({ limit: flags.limit + 1, signal: io.signal })),
    );
    const more = found.length > flags.limit;
    if (more) found.pop();
    output(io, flags.json, found.map(shown), () =>
      found.length === 0 ? 'Nothing was booked yet.' : describe(found),
    );
    if (more) note(io, `There are more: --limit says how many of the newest are listed, now ${flags.limit}.`);
    return undefined;
  });
}

const shown = ({ seq, at, id, digest, postings, unpaid }: LedgerEntry): Record<string, unknown> => ({
  seq,
  at: isoTime(at),
  id,
  ...(digest === '' ? {} : { digest }),
  postings: postings.map(({ account, amount }) => ({ account, bytes: `${amount}` })),
  unpaid,
});

const describe = (found: readonly LedgerEntry[]): string =>
  table([
    ['entry', 'booked', 'for', 'account', 'credits'],
    ...found.flatMap(({ seq, at, id, postings, unpaid }) => [
      ...postings.map(({ account, amount }, i) => [...headOf(i, seq, at, id), account, credits(amount)]),
      ...unpaid.map(({ provider, reason }, i) => [
        ...headOf(postings.length + i, seq, at, id),
        `provider/${provider}`,
        `not all: ${reason}`,
      ]),
      ...(postings.length + unpaid.length === 0 ? [[...headOf(0, seq, at, id), '-', 'nothing']] : []),
    ]),
  ]);

const headOf = (line: number, seq: number, at: number, id: string): (string | number)[] =>
  line === 0 ? [seq, isoTime(at), id] : ['', '', ''];
