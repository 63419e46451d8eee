import type { ProviderProfile } from './profile.ts';

type Rtt = Pick<ProviderProfile, 'rtt_ewma' | 'rtt_samples'>;

/** Weight of a new sample. */
export const EWMA_WEIGHT = 0.2;
/** So many samples make the first figure: the shortest of them. */
export const FIRST_SAMPLES = 4;
const RTT_MS = { min: 0.01, max: 3_600_000 } as const;

/**
 * The round trip after a sample. A busy machine measures it too long, and nothing measures it too short: so the
 * shortest of the first few stands, or one bad start would rank a provider for minutes. The average goes on from there.
 */
export function sampled({ rtt_ewma, rtt_samples }: Rtt, rttMs: number | undefined): Rtt {
  const sample = plausible(rttMs);
  if (sample === undefined) return { rtt_ewma, rtt_samples };
  if (rtt_ewma === 0) return { rtt_ewma: sample, rtt_samples: 1 };
  if (rtt_samples >= FIRST_SAMPLES) {
    return { rtt_ewma: rtt_ewma + EWMA_WEIGHT * (sample - rtt_ewma), rtt_samples };
  }
  return { rtt_ewma: Math.min(rtt_ewma, sample), rtt_samples: rtt_samples + 1 };
}

/** After an answer that took `elapsedMs` with whatever else was in it: among the first samples it bounds them. */
export function bounded({ rtt_ewma, rtt_samples }: Rtt, elapsedMs: number | undefined): Rtt {
  const most = elapsedMs === 0 ? undefined : plausible(elapsedMs);
  const open = rtt_ewma > 0 && rtt_samples < FIRST_SAMPLES;
  return { rtt_ewma: open && most !== undefined ? Math.min(rtt_ewma, most) : rtt_ewma, rtt_samples };
}

const plausible = (ms: number | undefined): number | undefined =>
  ms === undefined || !Number.isFinite(ms) || ms < 0
    ? undefined
    : Math.min(Math.max(ms, RTT_MS.min), RTT_MS.max);
