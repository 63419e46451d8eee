import type { RebalanceForecast, RebalanceResult } from '../../vault/vault.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { bytes, counted, table } from '../format.ts';
import { note, output, print } from '../io.ts';
import { Progress } from '../progress.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';
import { confirm, duration } from './evacuate.ts';

interface RebalanceFlags extends CommonFlags {
  readonly dryRun: boolean;
  readonly yes: boolean;
}

/** Needs no key, and asks for none. */
export default async function rebalance(this: CliContext, flags: RebalanceFlags): Promise<void> {
  const { json, dryRun, yes } = flags;
  await runCommand(this, json, (io) =>
    withVault(io, { ...flags, sealed: true }, async (vault) => {
      const { signal } = io;
      const plan = await vault.planRebalance({ signal });
      if (json && dryRun) output(io, true, { plan }, () => '');
      if (!json) for (const line of describePlan(plan)) print(io, line);
      if (dryRun) return EXIT.done;
      if (!yes && plan.packs > 0) await confirm(io, 'Move them?', { signal });
      const progress = new Progress(io, 'moving', json, (count) => counted(Math.round(count), 'pack'));
      const onProgress = (packs: number): void => progress.update(packs, Math.max(packs, plan.packs));
      const result = await vault.rebalance({ signal, onProgress }).finally(() => progress.end());
      output(io, json, { plan, result }, () => describe(result));
      if (result.failed > 0) note(io, `warning: ${result.failed} could not be moved: ${result.why}`);
      if (result.incomplete) note(io, 'warning: not everything is indexed: run it again');
      return exitOf(result);
    }),
  );
}

function* describePlan(plan: RebalanceForecast): Generator<string> {
  yield `${counted(plan.packs, 'pack')} to move, ${bytes(plan.bytes)}`;
  if (plan.packs === 0) return;
  yield `  read         ${bytes(plan.bytes)}, and as much read back to check`;
  yield `  written      ${bytes(plan.bytes)}`;
  yield `  requests     ${plan.requests} or a few more`;
  yield `  reading      costs ${plan.cost.toPrecision(3)}: GiB times the \`price\` of each provider`;
  yield `  time         ${duration(plan.ms)} or more, by [repair]'s pace`;
}

function describe({ packs, bytes: moved, after, isEven }: RebalanceResult): string {
  const rows = after.map(({ provider, bytes: held }) => [provider, bytes(held)]);
  const text = isEven
    ? 'all are within a tenth of the mean'
    : 'not even: no more can be moved now without objects surviving fewer losses';
  return [`moved ${counted(packs, 'pack')}, ${bytes(moved)}; ${text}`, table(rows)].join('\n');
}

const exitOf = ({ isEven, failed, incomplete }: RebalanceResult): ExitCode =>
  isEven && failed === 0 && !incomplete ? EXIT.done : EXIT.notEnough;
