import { stat } from 'node:fs/promises';
import { homePaths } from '../../compose/home.ts';
import { homeOf } from '../../compose/load-config.ts';
import { EXIT } from '../exit-codes.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { counted } from '../format.ts';
import { type Io, note, output } from '../io.ts';
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
    output(
      io,
      flags.json,
      result,
      () => `recovered ${counted(result.names, 'name')}, ${counted(result.manifests, 'manifest')}`,
    );
    await tellOfKey(io, flags);
    const nothing = result.names === 0 && result.unreachable.length > 0;
    if (nothing) note(io, '  Bring providers back, or correct the configuration, and run this again.');
    return nothing || result.lost.length > 0 ? EXIT.notEnough : EXIT.done;
  });
}

/** A key that was named for this command alone is not found by the next one. */
async function tellOfKey(io: Io, { key, home }: RecoverFlags): Promise<void> {
  const { keyFile } = homePaths(homeOf({ home, env: io.env, cwd: io.cwd }));
  if (key === undefined || (await stat(keyFile).catch(() => undefined)) !== undefined) return;
  note(io, `warning: other commands look for the key at ${keyFile}: copy ${key} there`);
}
