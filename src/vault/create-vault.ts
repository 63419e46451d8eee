import { rm } from 'node:fs/promises';
import { configFrom } from '../config/load.ts';
import { configText, starterConfig } from '../config/render.ts';
import { HoldfastError } from '../core/errors.ts';
import { secureRandom } from '../core/random.ts';
import { initFsProvider } from '../providers/fs/layout.ts';
import { adapterKinds } from '../providers/registry.ts';
import { createKeyFile, homePaths, keepConfig } from './home.ts';
import { type FoundConfig, findConfigText, homeOf, ownConfigOf } from './load-config.ts';
import { openVaultOf } from './open-vault.ts';
import type { Vault } from './vault.ts';
import { type AnyAdapterKind, type CreateVaultOptions, checkOpenOptions } from './vault-options.ts';

/**
 * Makes a vault and opens it: a folder with a new key, wrapped by the passphrase, and with the configuration; and the
 * folders of providers that are folders. Keep a copy of `vault.key` and its passphrase elsewhere: nothing can be read
 * without them. On failure no key is left behind.
 * @throws HoldfastError `ConfigInvalid` (`passphrase_needed` and others); `PermissionDenied` (`already_initialised`,
 * `access_denied`): a key is never overwritten.
 */
export async function createVault<Kind extends AnyAdapterKind = never>(
  options: CreateVaultOptions<Kind> = {},
): Promise<Vault> {
  const all = options as CreateVaultOptions<AnyAdapterKind>;
  checkOpenOptions('createVault', all);
  const { home, config: given, unwrapped = false, env = process.env } = all;
  const kinds = all.adapters && adapterKinds(all.adapters);
  const location = { home, env, cwd: process.cwd(), kinds };
  const found: FoundConfig =
    given === undefined || typeof given === 'string'
      ? await findConfigText({ ...location, file: given })
      : { config: configFrom(given, env, homeOf(location), kinds), text: configText(given) };
  const { passphrase: from = env.HOLDFAST_PASSPHRASE } = all;
  const passphrase = unwrapped ? undefined : typeof from === 'function' ? await from() : from;
  if (!unwrapped && !passphrase) throw passphraseNeeded();
  await makeHome(found, passphrase);
  const { unwrapped: _, ...open } = all;
  return openVaultOf({ ...open, config: found.config, passphrase });
}

/** Makes the home of a vault that is configured so. @param passphrase undefined keeps the key unwrapped. */
export async function makeHome({ config, text }: FoundConfig, passphrase: string | undefined): Promise<void> {
  const paths = homePaths(config.home);
  await createKeyFile(paths, passphrase, secureRandom);
  try {
    for (const provider of config.providers)
      if (provider.adapter === 'fs') await initFsProvider(provider.root, provider.id);
    await keepConfig(ownConfigOf(config.home), text ?? starterConfig());
  } catch (error) {
    // A vault that was never whole: the next try starts afresh.
    await rm(paths.keyFile, { force: true });
    throw error;
  }
}

/** @param hint what to do in place of giving one to `createVault`. */
export function passphraseNeeded(
  hint = 'Give passphrase, or unwrapped: true to keep the key in a file of mode 0600.',
): HoldfastError {
  return new HoldfastError('ConfigInvalid', 'a new vault needs a passphrase, and none was given', {
    code: 'passphrase_needed',
    hint,
  });
}
