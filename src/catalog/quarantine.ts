import type { ProviderProfile } from '../profiles/profile.ts';
import type { CatalogPolicy } from './policy.ts';

export interface Quarantine {
  readonly over: 'loss' | 'rtt';
  /** In a row. */
  readonly goodProbes: number;
}

type Limits = CatalogPolicy['quarantine'];
type Averages = Pick<ProviderProfile, 'loss_ewma' | 'rtt_ewma'>;

/** The limit that the averages are over, if any. */
export function overLimit(averages: Averages, limits: Limits): Quarantine['over'] | undefined {
  if (averages.loss_ewma > limits.maxLoss) return 'loss';
  return averages.rtt_ewma > limits.maxRttMs ? 'rtt' : undefined;
}

/**
 * The quarantine after a probe, given the averages that include it. A provider comes in when an average is over its
 * limit, and goes out after `returnAfter` good probes in a row with all averages back within.
 * @param rttMs of the probe; undefined when it failed.
 */
export function quarantineAfterProbe(
  before: Quarantine | undefined,
  averages: Averages,
  rttMs: number | undefined,
  limits: Limits,
): Quarantine | undefined {
  const over = overLimit(averages, limits);
  if (before === undefined) return over === undefined ? undefined : { over, goodProbes: 0 };
  const good = rttMs !== undefined && rttMs <= limits.maxRttMs;
  const goodProbes = good ? before.goodProbes + 1 : 0;
  if (over === undefined && goodProbes >= limits.returnAfter) return undefined;
  return { over: over ?? before.over, goodProbes };
}
