import type { Config } from '../../config/types.ts';
import type { LineLog } from '../../http/log.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { homePaths } from '../../vault/home.ts';
import { openVaultOf } from '../../vault/open-vault.ts';
import type { Vault } from '../../vault/vault.ts';
import { heldSubkeys } from '../agent/client.ts';
import type { Io } from '../io.ts';
import { readPassphrase } from '../passphrase.ts';
import { warningsTo } from './log.ts';

interface ServedVault {
  readonly config: Config;
  readonly sealed: boolean;
  /** It tidies up after each round of probes, and so must be allowed to delete. */
  readonly housekeeping: boolean;
}

/** Opens the vault of a program that stays. @throws HoldfastError as `openVault` does. */
export async function openServedVault(
  { config, sealed, housekeeping }: ServedVault,
  io: Io,
  telemetry: Telemetry,
  log: LineLog,
): Promise<Vault> {
  log.event('info', 'storage_policy', { ...config.policy });
  const { keyFile } = homePaths(config.home);
  const key = sealed
    ? { sealed }
    : { subkeys: await heldSubkeys(io.env, keyFile), passphrase: () => readPassphrase(io, keyFile) };
  return openVaultOf({
    config,
    env: io.env,
    ...key,
    // Who does not answer is known from the first on.
    background: 'at once',
    housekeeping,
    observers: {
      pipeline: telemetry.pipeline,
      providers: telemetry.providers,
      engines: telemetry.engines,
      housekeeping: telemetry.housekeeping,
      repair: telemetry.repair,
      log: warningsTo(log),
    },
  });
}
