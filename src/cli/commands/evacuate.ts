import type { AbortOptions } from '../../core/abort.ts';
import { HoldfastError } from '../../core/errors.ts';
import type {
  EvacuateOptions,
  EvacuateResult,
  EvacuationForecast,
  PlanEvacuationOptions,
  Vault,
} from '../../vault/vault.ts';
import { ask } from '../ask.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { bytes, counted } from '../format.ts';
import { type Io, note, output, print } from '../io.ts';
import { Progress } from '../progress.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';

interface EvacuateFlags extends CommonFlags {
  readonly minTolerates?: number;
  readonly dryRun: boolean;
  readonly yes: boolean;
}

/** What is asked of the vault. */
interface Task {
  readonly provider: string;
  readonly question: string;
  plan(vault: Vault, options: PlanEvacuationOptions): Promise<EvacuationForecast>;
  run(vault: Vault, options: EvacuateOptions): Promise<EvacuateResult>;
}

export async function evacuate(this: CliContext, flags: EvacuateFlags, provider: string): Promise<void> {
  await moveAway(this, flags, {
    provider,
    question: `Move it away from ${provider}?`,
    plan: (vault, options) => vault.planEvacuation(provider, options),
    run: (vault, options) => vault.evacuate(provider, options),
  });
}

export async function replace(
  this: CliContext,
  flags: EvacuateFlags,
  old: string,
  by: string,
): Promise<void> {
  await moveAway(this, flags, {
    provider: old,
    question: `Move it from ${old} to ${by}?`,
    plan: (vault, options) => vault.planReplacement(old, by, options),
    run: (vault, options) => vault.replace(old, by, options),
  });
}

/** Needs no key, and asks for none. */
async function moveAway(context: CliContext, flags: EvacuateFlags, task: Task): Promise<void> {
  const { json, dryRun, minTolerates } = flags;
  await runCommand(context, json, (io) =>
    withVault(io, { ...flags, sealed: true }, async (vault) => {
      const options = { minTolerates, signal: io.signal };
      const plan = await task.plan(vault, options);
      if (json && dryRun) output(io, true, { plan }, () => '');
      if (!json) for (const line of describePlan(task.provider, plan)) print(io, line);
      if (plan.segments === 0 && plan.refused.segments > 0 && dryRun) return exitOfRefused(plan);
      if (dryRun) return EXIT.done;
      if (!flags.yes && plan.segments > 0) await confirm(io, task.question, { signal: io.signal });
      const result = await run(io, json, vault, task, { plan, options });
      output(io, json, { plan, result }, () => [...describe(task.provider, result)].join('\n'));
      for (const line of warnings(task.provider, result)) note(io, `warning: ${line}`);
      return exitOf(result);
    }),
  );
}

const exitOfRefused = ({ refused }: EvacuationForecast): ExitCode =>
  refused.after === undefined ? EXIT.notEnough : EXIT.policy;

async function run(
  io: Io,
  json: boolean,
  vault: Vault,
  task: Task,
  { plan, options }: { readonly plan: EvacuationForecast; readonly options: PlanEvacuationOptions },
): Promise<EvacuateResult> {
  const progress = new Progress(io, 'moving', json, (count) => counted(Math.round(count), 'segment'));
  const onProgress = ({ segments }: { readonly segments: number }): void =>
    progress.update(segments, Math.max(segments, plan.segments));
  return task.run(vault, { ...options, onProgress }).finally(() => progress.end());
}

/** @throws HoldfastError `ConfigInvalid` (`not_told`) where nobody can be asked; `Aborted` when the answer is no. */
export async function confirm(io: Io, question: string, { signal }: AbortOptions): Promise<void> {
  if (io.stdin.isTTY !== true) {
    throw new HoldfastError('ConfigInvalid', 'it is to be confirmed, and there is no terminal to ask', {
      code: 'not_told',
      hint: 'Nothing was changed. Give --yes to have it done.',
    });
  }
  const answer = (await ask(io, `${question} [y/N] `, { hidden: false, code: 'not_told' })).trim();
  if (/^y(es)?$/i.test(answer) && !signal?.aborted) return;
  throw new HoldfastError('Aborted', 'nothing was changed');
}

function* describePlan(provider: string, plan: EvacuationForecast): Generator<string> {
  const { segments, refused, bytesRead, bytesReadBack, bytesWritten, requests, cost, ms } = plan;
  yield `at ${provider}: ${counted(segments, 'segment')} to move, ${bytes(plan.bytes)}`;
  yield `  read         ${bytes(bytesRead)}, and ${bytes(bytesReadBack)} read back to check`;
  yield `  written      ${bytes(bytesWritten)}`;
  yield `  requests     ${requests} or a few more`;
  yield `  reading      costs ${cost.toPrecision(3)}: GiB times the \`price\` of each provider`;
  yield `  time         ${ms === undefined ? 'none suffices: repair.egress_per_day is 0' : `${duration(ms)} or more, by [repair]'s pace`}`;
  if (refused.segments > 0) yield `  stays        ${whyRefused(refused)}`;
  if (plan.incomplete) yield '  not everything is indexed: there may be more';
}

function whyRefused({ segments, bytes: size, before, after }: EvacuationForecast['refused']): string {
  const what = `${counted(segments, 'segment')}, ${bytes(size)}`;
  return before === undefined || after === undefined
    ? `${what}: no other provider takes new shards`
    : `${what}: without it they would survive ${after} losses, and now ${before}`;
}

export function duration(ms: number): string {
  const [days, hours] = [Math.floor(ms / 86_400_000), Math.floor((ms % 86_400_000) / 3_600_000)];
  const minutes = Math.ceil((ms % 3_600_000) / 60_000);
  if (days > 0) return `${days} d ${hours} h`;
  return hours > 0 ? `${hours} h ${minutes} min` : counted(minutes, 'minute');
}

function* describe(provider: string, result: EvacuateResult): Generator<string> {
  const { segments, shards, rebuilt, bytesRead, bytesWritten, nodeCopies, nameCopies, left } = result;
  yield `moved        ${counted(segments, 'segment')}: ${counted(shards, 'shard')}, ${rebuilt} of them rebuilt`;
  yield `read         ${bytes(bytesRead)}`;
  yield `written      ${bytes(bytesWritten)}, with ${nodeCopies} manifest nodes in it; ${nameCopies} copies of names`;
  yield left.segments === 0
    ? `left         no shard ought to be at ${provider} any more; what was moved is deleted there by \`holdfast gc\``
    : `left         ${counted(left.segments, 'segment')} at ${provider}, ${bytes(left.bytes)}`;
}

function* warnings(provider: string, { left, incomplete }: EvacuateResult): Generator<string> {
  for (const { message, count } of left.why) yield `${count}: ${message}`;
  if (left.capped.length > 0)
    yield `${left.capped.join(', ')} may give no more today (repair.egress_per_day): run it again tomorrow`;
  if (left.objects > 0)
    yield `${counted(left.objects, 'object')} have manifest nodes with too few copies elsewhere: keep ${provider}`;
  if (left.names > 0) yield `${counted(left.names, 'name')} may lose a copy with ${provider}: keep it`;
  if (incomplete) yield 'not everything is indexed: run it again';
}

function exitOf({ left, incomplete }: EvacuateResult): ExitCode {
  if (left.refused > 0) return EXIT.policy;
  return left.segments + left.objects + left.names > 0 || incomplete ? EXIT.notEnough : EXIT.done;
}
