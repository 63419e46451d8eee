import { makeHome, passphraseNeeded } from '../../vault/create-vault.ts';
import { homePaths } from '../../vault/home.ts';
import { findConfigText, ownConfigOf } from '../../vault/load-config.ts';
import type { CliContext, ConfigFlags } from '../flags.ts';
import { counted } from '../format.ts';
import { output } from '../io.ts';
import { newPassphrase } from '../passphrase.ts';
import { runCommand } from '../run-command.ts';

interface InitFlags extends ConfigFlags {
  readonly unwrapped: boolean;
}

export default async function init(this: CliContext, flags: InitFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const { config, text } = await findConfigText({ ...flags, file: flags.config, env: io.env, cwd: io.cwd });
    const { keyFile } = homePaths(config.home);
    const own = ownConfigOf(config.home);
    const passphrase = flags.unwrapped ? undefined : await newPassphrase(io);
    if (passphrase === undefined && !flags.unwrapped)
      throw passphraseNeeded(
        'Set HOLDFAST_PASSPHRASE or HOLDFAST_PASSPHRASE_FILE, or pass --unwrapped to keep the key in a file of mode 0600.',
      );
    await makeHome({ config, text }, passphrase);
    const data = {
      home: config.home,
      keyFile,
      config: own,
      providers: config.providers.map(({ id }) => id),
    };
    output(io, flags.json, data, () =>
      [
        `Created a vault in ${config.home} with ${counted(config.providers.length, 'provider')}, configured in ${own}.`,
        `Keep a copy of ${keyFile}${passphrase === undefined ? '' : ' and its passphrase'} somewhere else: nothing can be read without it.`,
      ].join('\n'),
    );
    return undefined;
  });
}
