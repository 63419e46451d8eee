import { stat } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/types.ts';
import { systemClock } from '../core/clock.ts';
import { errnoText } from '../core/errno.ts';
import { HoldfastError } from '../core/errors.ts';
import { readNamedFile, readSmallFile } from '../core/files.ts';
import type { AdapterKinds } from '../providers/registry.ts';

export interface ConfigLocation {
  /** `--config`. */
  readonly file?: string | undefined;
  /** `--home`. */
  readonly home?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Kinds of adapters that it may name. Default: those that come with Holdfast. */
  readonly kinds?: AdapterKinds | undefined;
}

const MAX_CONFIG_BYTES = 4 * 1024 * 1024;
const LOCAL = 'config/storage.toml';
const DEFAULT_HOME = '.holdfast';
/** What stands for a file where there is none. */
const BUILT_IN = 'the built-in defaults';

export const homeOf = ({ home, env, cwd }: ConfigLocation): string =>
  resolve(cwd, home || env.HOLDFAST_HOME || DEFAULT_HOME);

/** The configuration that a home keeps for itself. */
export const ownConfigOf = (home: string): string => join(home, 'storage.toml');

/** A configuration and the text it was read from; no text: nothing was found, and these are the defaults. */
export interface FoundConfig {
  readonly config: Config;
  readonly text: string | undefined;
}

/**
 * Reads the configuration: the file that was named, else `HOLDFAST_CONFIG`, else the home's own, else
 * `config/storage.toml` here, else the defaults. A file that merely lies in the current folder may be a stranger's, so
 * keys that name secrets, programs or files to write do not count in it.
 * @throws HoldfastError `ConfigInvalid`, with file, line and key.
 */
export async function findConfig(location: ConfigLocation): Promise<Config> {
  return (await findConfigText(location)).config;
}

/** As {@link findConfig}, for who keeps the text. */
export async function findConfigText(location: ConfigLocation): Promise<FoundConfig> {
  const { env, kinds } = location;
  const home = homeOf(location);
  for (const { file, required, trusted } of candidates(location, home)) {
    const text = await readConfig(file, required);
    if (text === undefined) continue;
    const source = { text, file, env, home, trusted: await trusted(), kinds };
    return { config: loadConfig(source), text };
  }
  return {
    config: loadConfig({ text: '', file: BUILT_IN, env, home, trusted: true, kinds }),
    text: undefined,
  };
}

interface Candidate {
  readonly file: string;
  readonly required: boolean;
  trusted(): Promise<boolean>;
}

function candidates({ file, home: named, env, cwd }: ConfigLocation, home: string): Candidate[] {
  const yes = async (): Promise<boolean> => true;
  const given = file || env.HOLDFAST_CONFIG;
  if (given) return [{ file: absolute(cwd, given), required: true, trusted: yes }];
  const own = ownConfigOf(home);
  const homeNamed = Boolean(named || env.HOLDFAST_HOME);
  return [
    { file: own, required: false, trusted: homeNamed ? yes : () => onlyOurs(own) },
    { file: resolve(cwd, LOCAL), required: false, trusted: async () => false },
  ];
}

async function readConfig(file: string, required: boolean): Promise<string | undefined> {
  try {
    return required
      ? await readNamedFile(file, MAX_CONFIG_BYTES, systemClock)
      : await readSmallFile(file, MAX_CONFIG_BYTES);
  } catch (thrown) {
    const cause = thrown as NodeJS.ErrnoException;
    if (!required && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')) return undefined;
    throw new HoldfastError('ConfigInvalid', `cannot read the configuration ${file}: ${errnoText(cause)}`, {
      code: 'config_unreadable',
      hint: 'Check --config and HOLDFAST_CONFIG.',
      context: { file },
      cause,
    });
  }
}

/**
 * Whether a file is closed to others, as `init` makes it. A home that nobody named may have come with the folder that
 * it lies in; version control and most archives bring files that everyone can read.
 */
async function onlyOurs(file: string): Promise<boolean> {
  const { mode, uid } = await stat(file);
  const mine = process.getuid?.();
  return mine === undefined || (uid === mine && (mode & 0o077) === 0);
}

const absolute = (cwd: string, file: string): string => (isAbsolute(file) ? file : resolve(cwd, file));
