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

/** @throws HoldfastError as `openVault` does. */
export async function openGatewayVault(
  { config, sealed }: { readonly config: Config; readonly sealed: boolean },
  io: Io,
  telemetry: Telemetry,
  log: LineLog,
): Promise<Vault> {
  const { keyFile } = homePaths(config.home);
  const key = sealed
    ? { sealed }
    : { subkeys: await heldSubkeys(io.env, keyFile), passphrase: () => readPassphrase(io, keyFile) };
  return openVaultOf({
    config,
    env: io.env,
    ...key,
    // Reads avoid those that do not answer, from the first on. A gateway deletes nothing, and need not be allowed to.
    background: 'at once',
    housekeeping: false,
    observers: {
      pipeline: telemetry.pipeline,
      providers: telemetry.providers,
      engines: telemetry.engines,
      housekeeping: telemetry.housekeeping,
      log: warningsTo(log),
    },
  });
}
