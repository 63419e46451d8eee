import type { Config } from '../config/types.ts';
import type { Engine } from '../engine/index.ts';
import { homePaths, requireState } from './home.ts';
import { openEngine } from './open-engine.ts';
import { silent } from './settings.ts';

/** The state of a home without its vault: it takes no key. @throws HoldfastError `NotFound`, code `state_missing`. */
export async function withEngine<T>(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
  work: (engine: Engine) => Promise<T>,
): Promise<T> {
  if (config.engine.default === 'level') await requireState(homePaths(config.home));
  const engine = await openEngine(config, silent, env);
  try {
    return await work(engine);
  } finally {
    await engine.close();
  }
}
