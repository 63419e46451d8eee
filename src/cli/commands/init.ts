import { rm } from 'node:fs/promises';
import { starterConfig } from '../../config/render.ts';
import { HoldfastError } from '../../core/errors.ts';
import { secureRandom } from '../../core/random.ts';
import { initFsProvider } from '../../providers/fs/layout.ts';
import { createKeyFile, homePaths, keepConfig } from '../../vault/home.ts';
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
    const paths = homePaths(config.home);
    const own = ownConfigOf(config.home);
    const passphrase = flags.unwrapped ? undefined : await newPassphrase(io);
    if (passphrase === undefined && !flags.unwrapped) throw noPassphrase();
    await createKeyFile(paths, passphrase, secureRandom);
    const folders = config.providers.filter((provider) => provider.adapter === 'fs');
    try {
      for (const { root, id } of folders) await initFsProvider(root, id);
      await keepConfig(own, text ?? starterConfig());
    } catch (error) {
      // A vault that was never whole: the next try starts afresh.
      await rm(paths.keyFile, { force: true });
      throw error;
    }
    const data = {
      home: config.home,
      keyFile: paths.keyFile,
      config: own,
      providers: config.providers.map(({ id }) => id),
    };
    output(io, flags.json, data, () =>
      [
        `Created a vault in ${config.home} with ${counted(config.providers.length, 'provider')}, configured in ${own}.`,
        `Keep a copy of ${paths.keyFile}${passphrase === undefined ? '' : ' and its passphrase'} somewhere else: nothing can be read without it.`,
      ].join('\n'),
    );
    return undefined;
  });
}

function noPassphrase(): HoldfastError {
  return new HoldfastError(
    'ConfigInvalid',
    'a new vault needs a passphrase and there is no terminal to ask for one',
    {
      code: 'passphrase_needed',
      hint: 'Set HOLDFAST_PASSPHRASE or HOLDFAST_PASSPHRASE_FILE, or pass --unwrapped to keep the key in a file of mode 0600.',
    },
  );
}
