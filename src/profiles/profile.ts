import type { ChunkLadder } from './ladder.ts';

/** What is known of the way to one provider. Plain data; every function over it returns a new one. */
export interface ProviderProfile {
  /** Bytes a second; 0 until measured. */
  readonly bw_ewma: number;
  /** Milliseconds; 0 until measured. */
  readonly rtt_ewma: number;
  /** Share of probes that failed, 0 to 1. Starts at 0. */
  readonly loss_ewma: number;
  /** Share of transfers that succeeded, 0 to 1. Starts at 1. */
  readonly success_rate_ewma: number;
  /** Length of the next chunk this provider leads, in bytes; a rung of the ladder. */
  readonly preferred_chunk: number;
  /** Stable chunks (see `observe`) in a row since the rung last changed or a store failed. */
  readonly stable_chunks: number;
  /** Failed transfers, each taken back by a later success; never under 0. */
  readonly recent_failures: number;
  /** Chunks delivered, ever. */
  readonly total_chunks: number;
  /** Failed transfers, ever. */
  readonly total_failures: number;
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
    loss_ewma: 0,
    success_rate_ewma: 1,
    preferred_chunk: ladder.defaultBytes,
    stable_chunks: 0,
    recent_failures: 0,
    total_chunks: 0,
    total_failures: 0,
    updated_at: 0,
    maintenance: false,
  };
}
