import { type AbortOptions, manyMayListen } from '../core/abort.ts';
import { HoldfastError } from '../core/errors.ts';
import { checkOptions, type OptionNames } from '../core/options.ts';
import type { GetOptions } from '../pipeline/get/get.ts';
import type { PutOptions } from '../pipeline/put/put.ts';
import type { VerifyOptions } from '../upkeep/verify.ts';
import type { OpenVaultOptions } from './open-vault.ts';

const ABORT: OptionNames<AbortOptions> = { signal: true };
const CALLS: {
  readonly putObject: OptionNames<PutOptions>;
  readonly getObject: OptionNames<GetOptions>;
  readonly verify: OptionNames<VerifyOptions>;
  readonly manifests: OptionNames<AbortOptions & { readonly limit: number }>;
  readonly stat: OptionNames<AbortOptions>;
  readonly list: OptionNames<AbortOptions>;
  readonly deleteObject: OptionNames<AbortOptions>;
  readonly recover: OptionNames<AbortOptions>;
} = {
  putObject: { name: true, contentType: true, minTolerates: true, onProgress: true, signal: true },
  getObject: { start: true, length: true, signal: true },
  verify: { deep: true, onProgress: true, signal: true },
  manifests: { limit: true, signal: true },
  stat: ABORT,
  list: ABORT,
  deleteObject: ABORT,
  recover: ABORT,
};

/** What every call of a vault does with its options first. @throws HoldfastError `ConfigInvalid` (`unknown_option`). */
export function acceptOptions(call: keyof typeof CALLS, options: AbortOptions | undefined): void {
  checkOptions<AbortOptions>(call, options, CALLS[call]);
  manyMayListen(options?.signal);
}

const OPEN: OptionNames<OpenVaultOptions> = {
  home: true,
  config: true,
  keyFile: true,
  passphrase: true,
  rootKey: true,
  subkeys: true,
  sealed: true,
  env: true,
  observers: true,
  background: true,
  housekeeping: true,
};
const ROOT_KEY_BYTES = 32;

/** @throws HoldfastError `ConfigInvalid` (`unknown_option`, `bad_option`). */
export function checkOpenOptions(options: OpenVaultOptions): void {
  checkOptions('openVault', options, OPEN);
  const { home, keyFile, passphrase, rootKey } = options;
  for (const [name, path] of Object.entries({ home, keyFile }))
    if (path !== undefined && typeof path !== 'string') throw bad(name, 'a path');
  if (passphrase !== undefined && typeof passphrase !== 'string' && typeof passphrase !== 'function')
    throw bad('passphrase', 'a text, or a function that promises one');
  const isKey = rootKey instanceof Uint8Array && rootKey.length === ROOT_KEY_BYTES;
  if (rootKey !== undefined && !isKey) throw bad('rootKey', `a Uint8Array of ${ROOT_KEY_BYTES} bytes`);
}

const bad = (name: string, allowed: string): HoldfastError =>
  new HoldfastError('ConfigInvalid', `the option "${name}" of openVault is ${allowed}`, {
    code: 'bad_option',
  });
