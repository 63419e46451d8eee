import type { Config } from '../config/types.ts';
import { findConfig } from '../vault/load-config.ts';
import type { ConfigFlags } from './flags.ts';
import { type Io, note } from './io.ts';

/** The configuration that the flags name. @throws HoldfastError `ConfigInvalid` */
export const configOf = (
  flags: Pick<ConfigFlags, 'home' | 'config'>,
  io: Pick<Io, 'env' | 'cwd'>,
): Promise<Config> => findConfig({ file: flags.config, home: flags.home, env: io.env, cwd: io.cwd });

export function noteWarnings({ warnings }: Config, io: Io): void {
  for (const { code, message } of warnings) note(io, `warning: ${code}: ${message}`);
}
