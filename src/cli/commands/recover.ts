import { EXIT } from '../exit-codes.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { note, output } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';

interface RecoverFlags extends CommonFlags {
  readonly key?: string;
}

export default async function recover(this: CliContext, flags: RecoverFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const result = await withVault(io, { ...flags, keyFile: flags.key }, (vault) =>
      vault.recover({ signal: io.signal }),
    );
    for (const id of result.unreachable)
      note(io, `warning: ${id} did not answer; names only it knows are missing`);
    for (const name of result.lost)
      note(io, `warning: the manifest of "${name}" is at no provider that answered`);
    output(io, flags.json, result, () => `recovered ${result.names} names, ${result.manifests} manifests`);
    return result.lost.length > 0 ? EXIT.notEnough : EXIT.done;
  });
}
