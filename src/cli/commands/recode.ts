import { HoldfastError } from '../../core/errors.ts';
import type { RecodePlan, RecodeResult } from '../../upkeep/recode.ts';
import { EXIT, type ExitCode, worstOf } from '../exit-codes.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { bytes, counted } from '../format.ts';
import { note, output, print } from '../io.ts';
import { Progress } from '../progress.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';
import { confirm, duration } from './evacuate.ts';

interface RecodeFlags extends CommonFlags {
  readonly all: boolean;
  readonly code: string;
  readonly minTolerates?: number;
  readonly dryRun: boolean;
  readonly yes: boolean;
}

export default async function recode(
  this: CliContext,
  flags: RecodeFlags,
  name: string | undefined,
): Promise<void> {
  const { json, dryRun, yes, code, minTolerates } = flags;
  await runCommand(this, json, (io) => {
    if ((name === undefined) !== flags.all) throw whichOne();
    return withVault(io, flags, async (vault) => {
      const { signal } = io;
      const task = { name, code, minTolerates };
      const plan = await vault.planRecode(task, { signal });
      if (json && dryRun) output(io, true, { plan }, () => '');
      if (!json) for (const line of describePlan(code, plan)) print(io, line);
      if (dryRun) return plan.refused > 0 ? EXIT.policy : EXIT.done;
      if (!yes && plan.objects > 0)
        await confirm(io, 'Make a new version, with another ETag, of each?', { signal });
      const progress = new Progress(io, 'recode', json, (count) => bytes(Math.round(count)));
      const onProgress = (read: number): void => progress.update(read, Math.max(read, plan.bytes));
      const result = await vault.recode(task, { signal, onProgress }).finally(() => progress.end());
      output(io, json, { plan, result }, () => describe(result));
      for (const line of warnings(result)) note(io, `warning: ${line}`);
      return exitOf(result);
    });
  });
}

const whichOne = (): HoldfastError =>
  new HoldfastError('ConfigInvalid', 'which object is to be coded anew?', {
    code: 'nothing_named',
    hint: 'Give a name, or --all.',
  });

function* describePlan(code: string, plan: RecodePlan): Generator<string> {
  const { objects, done, refused, tolerates } = plan;
  yield `${counted(objects, 'object')} to code anew with ${code}, ${bytes(plan.bytes)}; each gets another ETag`;
  if (done > 0)
    yield `  stays        ${counted(done, 'object')}: coded like this already, or so small that copies are kept`;
  if (refused > 0)
    yield `  stays        ${counted(refused, 'object')}: it would survive ${tolerates} losses, and more were certified`;
  if (objects === 0) return;
  yield `  read         ${bytes(plan.bytesRead)} at most`;
  yield `  written      ${bytes(plan.bytesWritten)} at most`;
  yield `  requests     about ${plan.requests}`;
  yield `  reading      costs ${plan.cost.toPrecision(3)}: GiB times the mean \`price\` of the providers`;
  yield `  time         ${duration(plan.ms)} or more, by [repair]'s pace`;
}

const describe = ({ objects, bytes: size }: RecodeResult): string =>
  `coded anew   ${counted(objects, 'object')}, ${bytes(size)}; the old versions go after retention.replaced_seconds`;

function* warnings({ refused, changed, failed, why }: RecodeResult): Generator<string> {
  if (refused > 0) yield `${counted(refused, 'object')} would survive fewer losses and stay as they are`;
  if (changed > 0) yield `${counted(changed, 'object')} were put or removed meanwhile: that stays`;
  if (failed > 0) yield `${counted(failed, 'object')} could not be coded anew: ${why}`;
}

const exitOf = ({ refused, changed, failed }: RecodeResult): ExitCode =>
  worstOf([failed + changed > 0 ? EXIT.notEnough : EXIT.done, refused > 0 ? EXIT.policy : EXIT.done]);
