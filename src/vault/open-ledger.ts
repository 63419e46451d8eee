import type { Config } from '../config/types.ts';
import { accelerationFrom } from '../core/acceleration.ts';
import { selectBlake3ByLength } from '../core/b3/select.ts';
import { systemClock } from '../core/clock.ts';
import { Ledger } from '../receipts/settlement/ledger.ts';
import { homePaths, requireState } from './home.ts';
import { openEngine } from './open-engine.ts';
import { silent } from './settings.ts';

/** The ledger of a home, for who only looks at it: it takes no key. @throws HoldfastError `NotFound`, code `state_missing`. */
export async function withLedger<T>(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
  work: (ledger: Ledger) => Promise<T>,
): Promise<T> {
  if (config.engine.default === 'level') await requireState(homePaths(config.home));
  const engine = await openEngine(config, silent, env);
  try {
    const blake3 = await selectBlake3ByLength(accelerationFrom(env));
    return await work(new Ledger({ engine, blake3, clock: systemClock }));
  } finally {
    await engine.close();
  }
}
