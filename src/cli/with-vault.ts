import { homePaths, requireState } from '../vault/home.ts';
import { openVaultOf } from '../vault/open-vault.ts';
import type { Vault } from '../vault/vault.ts';
import { heldSubkeys } from './agent/client.ts';
import { configOf, noteWarnings } from './config-of.ts';
import type { CommonFlags } from './flags.ts';
import type { Io } from './io.ts';
import { openObservers } from './metrics-file.ts';
import { readPassphrase } from './passphrase.ts';
import type { Profile } from './profile.ts';

/** All that a listing yields. */
export async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

interface VaultFlags extends CommonFlags {
  readonly keyFile?: string | undefined;
  /** Without its key: for work that needs none, and asks for no passphrase. */
  readonly sealed?: boolean | undefined;
}

/** Opens the vault that the flags name, runs `work`, and closes it whatever happens. */
export async function withVault<T>(
  io: Io,
  flags: VaultFlags,
  work: (vault: Vault) => Promise<T>,
  profile?: Profile,
): Promise<T> {
  const config = await configOf(flags, io);
  noteWarnings(config, io);
  const metrics = await openObservers(flags.metricsFile, io, flags.json, profile);
  const paths = homePaths(config.home);
  const { keyFile = paths.keyFile } = flags;
  if (flags.sealed && config.engine.default === 'level') await requireState(paths);
  const key = flags.sealed
    ? { sealed: true, housekeeping: false }
    : {
        keyFile,
        subkeys: await heldSubkeys(io.env, keyFile),
        passphrase: () => readPassphrase(io, keyFile),
      };
  const vault = await openVaultOf({ config, env: io.env, observers: metrics.observers, ...key });
  try {
    return await work(vault);
  } finally {
    await vault.close();
    await metrics.finish();
  }
}
