import type { ChunkLadder } from './ladder.ts';

/** What is known of the way to one provider. Plain data; every function over it returns a new one. */
export interface ProviderProfile {
  /** Bytes a second; 0 until measured. */
  readonly bw_ewma: number;
  /** Milliseconds; 0 until measured. */
  readonly rtt_ewma: number;
  /** How many of its first samples have been seen, at most `FIRST_SAMPLES`; the shortest of those stands. 0 until measured. */
  readonly rtt_samples: number;
  /** Share of probes that failed, 0 to 1. Starts at 0. */
  readonly loss_ewma: number;
  /** Share of transfers that succeeded, 0 to 1. Starts at 1. */
  readonly success_rate_ewma: number;
  /** Length of the next chunk this provider leads, in bytes; a rung of the ladder. */
  readonly preferred_chunk: number;
  /** Stable chunks (see `observe`) in a row since the rung last changed or a store failed. */
  readonly stable_chunks: number;
  /** Transfers that failed, each taken back by a later success; never under 0. */
  readonly recent_failures: number;
  /** The same of races lost. */
  readonly recent_slow: number;
  /** Chunks of which shards were delivered, ever. */
  readonly total_chunks: number;
  /** Transfers that failed, ever. */
  readonly total_failures: number;
  /** Races lost: transfers given up on because others were much faster. */
  readonly total_slow: number;
  /** Answers that were not what had been acknowledged: gone, or altered. */
  readonly total_lies: number;
  /** When the last of each kind was seen, in milliseconds since the Unix epoch; 0 for never. */
  readonly failed_at: number;
  readonly slow_at: number;
  readonly lied_at: number;
  /** When a probe was last counted; the same clock. */
  readonly probed_at: number;
  /** When probes, counted or not, began to go unanswered; 0 once one was answered, or a transfer succeeded. */
  readonly silent_since: number;
  /** When this was last observed, in milliseconds since the Unix epoch. */
  readonly updated_at: number;
  /** Set by the operator: no new shards. */
  readonly maintenance: boolean;
}

/** The optimistic profile of a provider that nothing is known of. */
export function newProfile(ladder: ChunkLadder): ProviderProfile {
  return {
    bw_ewma: 0,
    rtt_ewma: 0,
    rtt_samples: 0,
    loss_ewma: 0,
    success_rate_ewma: 1,
    preferred_chunk: ladder.defaultBytes,
    stable_chunks: 0,
    recent_failures: 0,
    recent_slow: 0,
    total_chunks: 0,
    total_failures: 0,
    total_slow: 0,
    total_lies: 0,
    failed_at: 0,
    slow_at: 0,
    lied_at: 0,
    probed_at: 0,
    silent_since: 0,
    updated_at: 0,
    maintenance: false,
  };
}

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
