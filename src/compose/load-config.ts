import { readFile } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/types.ts';
import { errnoText } from '../core/errno.ts';
import { HoldfastError } from '../core/errors.ts';

export interface ConfigLocation {
  /** `--config`. */
  readonly file?: string | undefined;
  /** `--home`. */
  readonly home?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

const LOCAL = 'config/storage.toml';
const SHIPPED = fileURLToPath(new URL('../../config/storage.toml', import.meta.url));

export const homeOf = ({ home, env, cwd }: ConfigLocation): string =>
  resolve(cwd, home || env.HOLDFAST_HOME || '.holdfast');

/**
 * Reads the configuration: the file that was named, else `HOLDFAST_CONFIG`, else `config/storage.toml` here, else
 * the one that ships with the program.
 * @throws HoldfastError `ConfigInvalid`, with file, line and key.
 */
export async function findConfig(location: ConfigLocation): Promise<Config> {
  const { env, cwd } = location;
  const home = homeOf(location);
  const named = location.file || env.HOLDFAST_CONFIG;
  const file = named ? absolute(cwd, named) : resolve(cwd, LOCAL);
  const text = await readFile(file, 'utf8').catch(async (cause: NodeJS.ErrnoException) => {
    if (!named && cause.code === 'ENOENT') return undefined;
    throw new HoldfastError('ConfigInvalid', `cannot read the configuration ${file}: ${errnoText(cause)}`, {
      code: 'config_unreadable',
      hint: 'Check --config and HOLDFAST_CONFIG.',
      context: { file },
      cause,
    });
  });
  if (text !== undefined) return loadConfig({ text, file, env, home });
  return loadConfig({ text: await readFile(SHIPPED, 'utf8'), file: SHIPPED, env, home });
}

const absolute = (cwd: string, file: string): string => (isAbsolute(file) ? file : resolve(cwd, file));
