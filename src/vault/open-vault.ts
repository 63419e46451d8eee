import { configFrom } from '../config/load.ts';
import type { Config } from '../config/types.ts';
import { HoldfastError } from '../core/errors.ts';
import { didYouMean } from '../core/options.ts';
import { secureRandom } from '../core/random.ts';
import { deriveSubkeys, type VaultSubkeys } from '../keys/derivation.ts';
import type { LogSink } from '../providers/layers/log.ts';
import { type AdapterKinds, adapterKinds } from '../providers/registry.ts';
import { composeVault } from './compose.ts';
import { homePaths, readRootKey } from './home.ts';
import { findConfig, homeOf } from './load-config.ts';
import { OpenedVault } from './opened-vault.ts';
import { type Observers, silent } from './settings.ts';
import type { Vault } from './vault.ts';
import {
  type AnyAdapterKind,
  checkOpenOptions,
  type OpenVaultOptions,
  type ProviderOverride,
} from './vault-options.ts';

/** What commands say besides. */
export interface OpenVaultParts extends OpenVaultOptions<AnyAdapterKind> {
  /** What was derived from the root key, in place of it. */
  readonly subkeys?: VaultSubkeys | undefined;
  readonly observers?: Partial<Observers> | undefined;
}

/**
 * Opens a vault that `createVault` or `holdfast init` has made. Close it when it is no longer needed.
 * @throws HoldfastError `ConfigInvalid`; `NotFound` (`key_file_missing`); `PermissionDenied` (`wrong_passphrase`,
 * `wrong_vault`); `Unavailable` (`engine_locked`).
 */
export async function openVault<Kind extends AnyAdapterKind = never>(
  options: OpenVaultOptions<Kind> = {},
): Promise<Vault> {
  const given = options as OpenVaultOptions<AnyAdapterKind>;
  checkOpenOptions('openVault', given);
  return openVaultOf(given);
}

/** The same, for the commands of this package. */
export async function openVaultOf(options: OpenVaultParts): Promise<Vault> {
  const env = options.env ?? process.env;
  const kinds = options.adapters && adapterKinds(options.adapters);
  const config = await configOf(options, env, kinds);
  const subkeys = options.subkeys ?? (await deriveKeys(options, config, env));
  const { log, onAttempt } = options;
  const observers = { ...silent, ...(log && { log }), ...(onAttempt && { onAttempt }), ...options.observers };
  const warn = log ?? options.observers?.log ?? warnOfProcess;
  for (const { code, message } of config.warnings) warn('warn', code, { message });
  observers.log('debug', 'storage_policy', { ...config.policy });
  const bound = options.sealed !== true;
  const { settlement, catalog } = options;
  const composed = await composeVault(config, { subkeys, bound }, env, observers, {
    settlement,
    policy: catalog,
    kinds,
  });
  return new OpenedVault(composed, options);
}

type Env = NonNullable<OpenVaultOptions['env']>;

async function configOf(options: OpenVaultParts, env: Env, kinds?: AdapterKinds): Promise<Config> {
  const { config: given, providerOverrides } = options;
  const location = { home: options.home, env, cwd: process.cwd(), kinds };
  const config =
    given === undefined || typeof given === 'string'
      ? await findConfig({ ...location, file: given })
      : configFrom(given, env, homeOf(location), kinds);
  return providerOverrides === undefined ? config : overridden(config, providerOverrides, env, kinds);
}

/** The whole is checked again: what a file may say is what a program may. */
function overridden(
  config: Config,
  overrides: Readonly<Record<string, ProviderOverride>>,
  env: Env,
  kinds?: AdapterKinds,
): Config {
  const ids = config.providers.map(({ id }) => id);
  for (const id of Object.keys(overrides)) {
    if (ids.includes(id)) continue;
    throw new HoldfastError('ConfigInvalid', `providerOverrides: no provider "${id}"${didYouMean(id, ids)}`, {
      code: 'unknown_provider',
      hint: `The configuration has ${ids.join(', ')}.`,
    });
  }
  const providers = config.providers.map((provider) => {
    const { domain, ...rest } = overrides[provider.id] ?? {};
    const given = Object.entries(rest).filter(([, value]) => value !== undefined);
    return { ...provider, ...Object.fromEntries(given), domain: { ...provider.domain, ...domain } };
  });
  return configFrom({ ...config, providers }, env, config.home, kinds);
}

async function deriveKeys(options: OpenVaultParts, { home }: Config, env: Env): Promise<VaultSubkeys> {
  const { keyFile = homePaths(home).keyFile, passphrase = env.HOLDFAST_PASSPHRASE ?? '' } = options;
  const ask = async (): Promise<string> => (typeof passphrase === 'string' ? passphrase : passphrase());
  // A key that nothing was ever sealed with opens nothing.
  const root = options.sealed ? secureRandom(32) : (options.rootKey ?? (await readRootKey(keyFile, ask)));
  return deriveSubkeys(root);
}

/** What an operator must see is seen also where a program logs nothing. */
const warnOfProcess: LogSink = (_, code, { message }) =>
  process.emitWarning(String(message), { type: 'HoldfastWarning', code });
