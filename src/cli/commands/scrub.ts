import type { ScrubResult } from '../../upkeep/scrub/scrub.ts';
import type { Subset } from '../../upkeep/scrub/state.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { bytes, counted, table } from '../format.ts';
import { note, output } from '../io.ts';
import { Progress } from '../progress.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';

interface ScrubFlags extends CommonFlags {
  readonly subset?: Subset;
  readonly restart: boolean;
  readonly bytesPerSecond?: number;
}

export default async function scrub(this: CliContext, flags: ScrubFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const progress = new Progress(io, 'scrub', flags.json);
    const { subset, restart, bytesPerSecond } = flags;
    const onProgress = ({ bytes: done }: { readonly bytes: number }): void =>
      progress.update(done, undefined);
    const result = await withVault(io, { ...flags, sealed: true }, (vault) =>
      vault.scrub({ subset, restart, bytesPerSecond, onProgress, signal: io.signal }),
    ).finally(() => progress.end());
    for (const line of warnings(result)) note(io, line);
    output(io, flags.json, result, () => describe(result));
    return exitOf(result);
  });
}

function describe({ providers, nodes, manifests, resumed }: ScrubResult): string {
  const packs = providers.reduce((sum, its) => sum + its.packs, 0);
  const read = providers.reduce((sum, its) => sum + its.bytes, 0);
  return [
    table([
      ['provider', 'packs', 'size', 'missing', 'corrupt', 'rotten shards', 'no answer', ''],
      ...providers.map((its) => [
        its.provider,
        its.packs,
        bytes(its.bytes),
        its.missing,
        its.corrupt,
        its.rotten,
        its.unheard,
        its.why ?? '',
      ]),
    ]),
    `manifests: ${manifests}, their nodes: ${nodes.checked}, copies missing ${nodes.missing}, corrupt ${nodes.corrupt}`,
    `checked ${counted(packs, 'pack')}, ${bytes(read)}${resumed ? ', with what was checked before it was cut off' : ''}`,
  ].join('\n');
}

function* warnings({ damaged, unheard, unread, unnoted }: ScrubResult): Generator<string> {
  if (damaged > 0)
    yield `damage: ${counted(damaged, 'blob')} missing or corrupt, and noted: mend it with \`holdfast repair-run\``;
  if (unnoted > 0)
    yield `warning: there was no room to note ${unnoted} of them; scrub again after the repair`;
  if (unheard > 0)
    yield `warning: providers gave no answer about ${counted(unheard, 'blob')}: nothing is known of these`;
  if (unread.count > 0)
    yield `warning: ${counted(unread.count, 'manifest')} cannot be read to the end: ${unread.first.join(', ')}`;
}

/** 5 where damage was found; 4 where not everything could be looked at. */
function exitOf({ damaged, unheard, unread }: ScrubResult): ExitCode {
  if (damaged > 0) return EXIT.integrity;
  return unheard > 0 || unread.count > 0 ? EXIT.notEnough : EXIT.done;
}
