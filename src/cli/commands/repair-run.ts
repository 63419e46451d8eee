import type { RepairResult } from '../../vault/vault.ts';
import { WHY_LOST } from '../damage-text.ts';
import { EXIT, type ExitCode, worstOf } from '../exit-codes.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { bytes, counted } from '../format.ts';
import { note, output } from '../io.ts';
import { Progress } from '../progress.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';

/** Needs no key, and asks for none. */
export default async function repairRun(this: CliContext, flags: CommonFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const progress = new Progress(io, 'repair', flags.json, (count) => counted(Math.round(count), 'chunk'));
    const result = await withVault(io, { ...flags, sealed: true }, (vault) =>
      vault.repair({
        signal: io.signal,
        onProgress: ({ chunks }) => progress.update(chunks.success, undefined),
      }),
    ).finally(() => progress.end());
    for (const line of warnings(result)) note(io, `warning: ${line}`);
    output(io, flags.json, result, () => [...describe(result)].join('\n'));
    return exitOf(result);
  });
}

function* describe(result: RepairResult): Generator<string> {
  const { manifests, bytesRestored, bytesRead, chunks, nodeCopies, nameCopies, lost } = result;
  for (const { provider, why } of lost) yield `lost         ${provider}: ${WHY_LOST[why]}`;
  yield `repaired     ${counted(chunks.success, 'chunk')} of ${counted(manifests, 'object')}`;
  yield `written      ${bytes(bytesRestored)}, with ${nodeCopies} manifest nodes in it; ${nameCopies} copies of names`;
  yield `read         ${bytes(bytesRead)}`;
}

function* warnings({ chunks, namesShort, capped, incomplete }: RepairResult): Generator<string> {
  const { failure, skipped, fatal } = chunks;
  if (fatal > 0) yield `too little is left of ${counted(fatal, 'chunk')}: see \`holdfast repair-history\``;
  if (failure > 0)
    yield `${counted(failure, 'repair')} failed and will be tried again: see \`holdfast repair-history\``;
  if (skipped > 0) yield `${counted(skipped, 'chunk')} have to wait: see \`holdfast repair-history\``;
  if (namesShort > 0)
    yield `${counted(namesShort, 'name')} have copies in too few failure domains: more providers are needed, or one command with the key`;
  if (capped.length > 0) yield `${capped.join(', ')} may give no more today (repair.egress_per_day)`;
  if (incomplete)
    yield 'not everything is indexed: some of what is lost may not have been seen; run it again';
}

function exitOf({ chunks, namesShort, incomplete }: RepairResult): ExitCode {
  const isOpen = chunks.failure + chunks.skipped + namesShort > 0 || incomplete;
  return worstOf([isOpen ? EXIT.notEnough : EXIT.done, chunks.fatal > 0 ? EXIT.integrity : EXIT.done]);
}
