import { CREDIT_BYTES } from '../catalog/quota.ts';
import type { Config } from '../config/types.ts';
import { accelerationFrom } from '../core/acceleration.ts';
import { selectBlake3ByLength } from '../core/b3/select.ts';
import { systemClock } from '../core/clock.ts';
import { secureRandom } from '../core/random.ts';
import { Ledger, type LedgerOptions } from '../receipts/settlement/ledger.ts';
import { type LedgerRebuild, rebuildLedger } from '../receipts/settlement/rebuild.ts';
import { withEngine } from './with-engine.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** The ledger of a home, for who only looks at it: it takes no key. @throws HoldfastError `NotFound`, code `state_missing`. */
export const withLedger = <T>(config: Config, env: Env, work: (ledger: Ledger) => Promise<T>): Promise<T> =>
  withParts(config, env, (parts) => work(new Ledger(parts)));

/** Builds it anew. @throws HoldfastError as `rebuildLedger`; `NotFound`, code `state_missing`. */
export const rebuildLedgerOf = (
  config: Config,
  env: Env,
  options: { readonly dryRun: boolean; readonly signal: AbortSignal },
): Promise<LedgerRebuild> =>
  withParts(config, env, (parts) => {
    const { poolCredits, escrowCredits } = config.settlement;
    const [pool, escrow] = [poolCredits, escrowCredits].map(
      (credits) => BigInt(credits) * BigInt(CREDIT_BYTES),
    );
    return rebuildLedger(
      { ...parts, random: secureRandom, funded: { pool: pool!, escrow: escrow! } },
      options,
    );
  });

const withParts = <T>(config: Config, env: Env, work: (parts: LedgerOptions) => Promise<T>): Promise<T> =>
  withEngine(config, env, async (engine) => {
    const blake3 = await selectBlake3ByLength(accelerationFrom(env));
    return work({ engine, blake3, clock: systemClock });
  });
