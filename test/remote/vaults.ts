import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openVault } from '../../src/vault/open-vault.ts';
import type { Vault } from '../../src/vault/vault.ts';
import type { OpenVaultOptions } from '../../src/vault/vault-options.ts';
import type { Place } from './places.ts';

const ROOT_KEY = new Uint8Array(32).fill(7);

/** Opens the vault of a folder over these providers, as a program would: from a configuration file. */
export async function openOver(
  home: string,
  providers: readonly Pick<Place, 'id' | 'domain' | 'keys'>[],
  settings: string,
  options: OpenVaultOptions = {},
): Promise<Vault> {
  const config = join(home, 'storage.toml');
  const tables = providers.map(
    ({ id, domain, keys }) => `[[providers]]
id = "${id}"
domain = { provider = "${domain}", account = "test", region = "loopback" }
${keys}
`,
  );
  await writeFile(config, `${settings}\n${tables.join('\n')}`);
  return openVault({ home, config, rootKey: ROOT_KEY, ...options });
}

/** All ways to choose `size` of `all`. */
export function subsets<T>(all: readonly T[], size: number): T[][] {
  if (size === 0) return [[]];
  return all.flatMap((first, i) => subsets(all.slice(i + 1), size - 1).map((rest) => [first, ...rest]));
}
