import type { GcResult } from '../../upkeep/gc.ts';
import type { ProviderOrphans, WhyKept } from '../../upkeep/orphans.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { bytes, counted, table } from '../format.ts';
import { note, output } from '../io.ts';
import { Progress } from '../progress.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';

interface GcFlags extends CommonFlags {
  readonly dryRun: boolean;
  readonly minAge: number;
  readonly keepUnfinished: boolean;
}

export default async function gc(this: CliContext, flags: GcFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const progress = new Progress(io, 'listed', flags.json, (count) => counted(Math.round(count), 'blob'));
    const { dryRun, minAge: minAgeMs, keepUnfinished } = flags;
    const onProgress = (listed: number): void => progress.update(listed, undefined);
    const result = await withVault(io, flags, (vault) =>
      vault.gc({ dryRun, minAgeMs, keepUnfinished, onProgress, signal: io.signal }),
    ).finally(() => progress.end());
    const providers = result.providers.map(({ error, ...scrub }) => ({ ...scrub, error: error?.message }));
    for (const line of warnings(result)) note(io, `warning: ${line}`);
    if (result.forgotten > 0) note(io, `forgot ${counted(result.forgotten, 'removed name')}`);
    if (result.remembered > 0) {
      const found = counted(result.remembered, 'object');
      note(io, `found ${found} without a name that this state did not know of: see \`holdfast manifests\``);
    }
    output(io, flags.json, { ...result, providers }, () =>
      table([
        ['provider', 'blobs', 'orphans', 'size', 'deleted', 'young', ''],
        ...result.providers.map((scrub) => [
          scrub.provider,
          scrub.listed,
          scrub.orphans,
          bytes(scrub.bytes),
          scrub.deleted,
          scrub.young,
          scrub.error?.message ?? (scrub.kept === undefined ? '' : `kept: ${WHY[scrub.kept]}`),
        ]),
      ]),
    );
    return exitOf(result);
  });
}

const WHY: Readonly<Record<WhyKept, string>> = {
  shared: 'other vaults may have stored them',
  needed: 'another provider needs the same, and may not have it',
  moved: 'shards were moved there by a state that this one knows nothing of',
  unconfirmed: 'too few providers said whether this state is the latest',
  behind: 'this state is not the latest',
  unread: 'manifests could not be read',
  unlisted: 'since the recovery not every provider could be looked through',
};

function* warnings({ providers, unread }: GcResult): Generator<string> {
  const kept = new Set(providers.map((scrub) => scrub.kept));
  if (kept.has('behind'))
    yield 'the providers know of changes that this state has not seen: run `holdfast recover`';
  if (unread.length > 0)
    yield `${unread.join(', ')} cannot be read to the end, so nothing was judged; see \`holdfast verify\``;
  const queued = providers.reduce((sum, scrub) => sum + scrub.queued, 0);
  if (queued > 0)
    yield `${counted(queued, 'blob')} could not be deleted yet, at providers that did not answer or refused; later commands try again`;
}

/** What a shared place keeps is no failure. */
function exitOf({ providers, unread }: GcResult): ExitCode {
  const isOpen = ({ error, queued, kept }: ProviderOrphans): boolean =>
    error !== undefined || queued > 0 || kept === 'unconfirmed';
  if (providers.some(({ kept }) => kept === 'behind')) return EXIT.policy;
  return unread.length > 0 || providers.some(isOpen) ? EXIT.notEnough : EXIT.done;
}
