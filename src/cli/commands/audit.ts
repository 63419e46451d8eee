import type { AuditResult, ProviderAudit } from '../../upkeep/audit/audit.ts';
import { EXIT, type ExitCode, worstOf } from '../exit-codes.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { bytes, counted, table } from '../format.ts';
import { note, output } from '../io.ts';
import { Progress } from '../progress.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';

interface AuditFlags extends CommonFlags {
  readonly provider?: string;
  readonly share: number;
  readonly confidence: number;
}

export default async function audit(this: CliContext, flags: AuditFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const unit = (count: number): string => counted(Math.round(count), 'challenge');
    const progress = new Progress(io, 'audit', flags.json, unit);
    const { provider, share, confidence } = flags;
    const onProgress = (done: { readonly challenges: number; readonly of: number }): void =>
      progress.update(done.challenges, done.of);
    const result = await withVault(io, { ...flags, sealed: true }, (vault) =>
      vault.audit({ provider, share, confidence, onProgress, signal: io.signal }),
    ).finally(() => progress.end());
    for (const line of warnings(result)) note(io, line);
    output(io, flags.json, result, () => describe(result));
    return worstOf(result.providers.map(codeOf));
  });
}

const percent = (share: number): string => `${Number((100 * share).toPrecision(6))} %`;

function describe({ share, confidence, challenges, providers }: AuditResult): string {
  return [
    `${counted(challenges, 'challenge')} a provider: one that dropped ${percent(share)} of its shards is caught with a probability of ${percent(confidence)}`,
    table([
      ['provider', 'verdict', 'challenges', 'right', 'missing', 'corrupt', 'no answer', 'size'],
      ...providers.map((its) => [
        its.provider,
        VERDICT[its.state],
        its.challenges,
        its.right,
        its.missing,
        its.corrupt,
        its.unanswered,
        bytes(its.bytes),
      ]),
    ]),
  ].join('\n');
}

const VERDICT: Readonly<Record<ProviderAudit['state'], string>> = {
  passed: 'passed',
  failed: 'FAILED',
  silent: 'no answer',
  nothing: 'holds nothing',
};

function* warnings({ providers, whole }: AuditResult): Generator<string> {
  const wrong = providers.reduce((sum, { missing, corrupt }) => sum + missing + corrupt, 0);
  if (wrong > 0)
    yield `damage: ${counted(wrong, 'shard')} missing or corrupt, and noted: find all with \`holdfast scrub\`, mend it with \`holdfast repair-run\``;
  if (!whole) yield 'warning: the index of shards is not complete: of some objects nothing was asked';
}

/** 5 where an answer was wrong; 4 where there was none. */
function codeOf({ missing, corrupt, unanswered }: ProviderAudit): ExitCode {
  if (missing + corrupt > 0) return EXIT.integrity;
  return unanswered > 0 ? EXIT.notEnough : EXIT.done;
}
