import { secureRandom } from '../src/core/random.ts';
import { findConfig } from '../src/vault/load-config.ts';
import { openVault } from '../src/vault/open-vault.ts';
import { CONFIG, CROWD_CONFIG } from './holdfast.ts';
import { type HoldfastServer, startCommand } from './load-servers.ts';

/** `holdfast gateway` over the vault of a home. */
export const startGateway = (home: string, flags: readonly string[]): Promise<HoldfastServer> =>
  startCommand(['gateway', '--home', home, '--config', CROWD_CONFIG, ...flags]);

/** Puts random objects, one of each length. @returns their paths at a gateway, in that order. */
export async function putRandom(home: string, lengths: readonly number[]): Promise<string[]> {
  const config = await findConfig({ file: CONFIG, home, env: {}, cwd: home });
  const vault = await openVault({ config, env: {} });
  try {
    const paths: string[] = [];
    for (const length of lengths) {
      paths.push(`/m/${(await vault.putObject(secureRandom(length))).manifest}`);
    }
    return paths;
  } finally {
    await vault.close();
  }
}
