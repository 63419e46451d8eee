import type { LedgerRebuild } from '../../receipts/settlement/rebuild.ts';
import { rebuildLedgerOf } from '../../vault/open-ledger.ts';
import { configOf } from '../config-of.ts';
import { EXIT } from '../exit-codes.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { counted } from '../format.ts';
import { output } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';
import { credits, exitOf, settled } from './ledger.ts';

export interface RebuildFlags extends CommonFlags {
  readonly dryRun: boolean;
}

/** Then hours that are lost are booked again, as `receipts settle` does. */
export default async function rebuild(this: CliContext, flags: RebuildFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const { dryRun } = flags;
    const config = await configOf(flags, io);
    const rebuilt = await rebuildLedgerOf(config, io.env, { dryRun, signal: io.signal });
    const isDone = dryRun || rebuilt.isWhole || !config.settlement.enabled;
    const after = isDone
      ? undefined
      : await withVault(io, { ...flags, sealed: true }, (vault) =>
          vault.settleReceipts({ signal: io.signal }),
        );
    output(io, flags.json, { dryRun, ...shown(rebuilt), ...(after && { settled: after }) }, () =>
      [...describe(rebuilt, dryRun), ...(after === undefined ? [] : settled(after))].join('\n'),
    );
    return after === undefined ? EXIT.done : exitOf(after);
  });
}

const shown = ({ changed, ...rebuilt }: LedgerRebuild) => ({
  ...rebuilt,
  changed: changed.map(({ account, before, after }) => ({
    account,
    ...(before !== undefined && { before: `${before}` }),
    after: `${after}`,
  })),
});

function* describe(
  { isWhole, kept, chained, recovered, lost, changed }: LedgerRebuild,
  dryRun: boolean,
): Generator<string> {
  if (isWhole) return yield 'the ledger is whole: nothing is changed';
  yield dryRun ? 'the ledger is damaged; it can be built anew:' : 'the ledger is built anew:';
  yield `kept         ${counted(kept, 'booking')} as they are, and ${chained} chained anew`;
  for (const id of recovered) yield `recovered    ${id}, by the balances`;
  for (const id of lost) yield `lost         ${id}`;
  if (changed.length === 0) yield 'balances     as they were';
  for (const { account, before, after } of changed)
    yield `changed      ${account}: ${before === undefined ? 'unreadable' : credits(before)} → ${credits(after)}`;
}
