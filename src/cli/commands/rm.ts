import type { CliContext, CommonFlags } from '../flags.ts';
import { counted } from '../format.ts';
import { note, output } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { BEHIND, forkText } from '../warnings.ts';
import { withVault } from '../with-vault.ts';

export default async function rm(this: CliContext, flags: CommonFlags, reference: string): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const result = await withVault(io, flags, (vault) =>
      vault.deleteObject(reference, { signal: io.signal }),
    );
    if (result.queued > 0) {
      note(
        io,
        `warning: ${counted(result.queued, 'blob')} could not be deleted yet, at providers that did not answer or refused; later commands try again`,
      );
    }
    if (result.postponed !== undefined) note(io, postponedText(result.postponed));
    for (const fork of result.forks) note(io, `warning: ${forkText(fork)}`);
    if (result.stateBehind) {
      note(io, `warning: ${BEHIND}`);
      note(io, '  Run `holdfast recover` to bring this state up to date.');
    }
    if (result.unconfirmed.length > 0) {
      note(
        io,
        `warning: ${result.unconfirmed.join(', ')} did not confirm the removal; later commands tell them again`,
      );
    }
    output(io, flags.json, result, () => `removed ${result.name ?? result.manifest}`);
    return undefined;
  });
}

const postponedText = (why: string): string =>
  `warning: the name is removed, and its blobs are not deleted yet: ${why}; later commands try again once every provider answers and this state is the latest, and \`holdfast gc\` waits for it`;
