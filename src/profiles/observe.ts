import { type ChunkLadder, nextRung, rungAtMost, rungBelow, STABLE_CHUNKS } from './ladder.ts';
import type { ProviderProfile } from './profile.ts';

/** One thing that happened on the way to a provider. `at` is in milliseconds since the Unix epoch. */
export type Observation =
  | { readonly type: 'stored'; readonly at: number; readonly sample: ChunkSample }
  | { readonly type: 'store_failed'; readonly at: number }
  | { readonly type: 'read'; readonly at: number }
  | { readonly type: 'read_failed'; readonly at: number }
  | { readonly type: 'probed'; readonly at: number; readonly rttMs: number }
  | { readonly type: 'probe_failed'; readonly at: number };

/** One chunk's delivery. A measurement that cannot be (NaN, negative, a clock that jumped back) is left out. */
export interface ChunkSample {
  readonly bytes: number;
  readonly elapsedMs: number;
  readonly rttMs?: number | undefined;
}

/** Weight of a new sample. */
export const EWMA_WEIGHT = 0.2;
/** Shorter transfers are all latency: they say nothing about bandwidth and do not count as stable. */
export const MIN_SAMPLE_BYTES: number = 64 * 1024;
/** Keeps a tick of a coarse clock from looking like infinite speed. 1 TiB a second. */
const MAX_BANDWIDTH = 1024 ** 4;
const RTT_MS = { min: 0.01, max: 3_600_000 } as const;

/**
 * The profile after an observation: a pure function, so the same observations give the same bytes anywhere.
 *
 * A chunk is *stable* when it was delivered in one go, long enough to tell of the link (`MIN_SAMPLE_BYTES`), and no
 * store failed since the last change of the rung. Only chunks move the rung: a delivery by at most one and after
 * `STABLE_CHUNKS` stable ones, which is when a poor link is forced down too; a failed store by one at once. Probes
 * feed the averages those decisions read.
 */
export function observe(
  profile: ProviderProfile,
  observation: Observation,
  ladder: ChunkLadder,
): ProviderProfile {
  const seen = { ...profile, updated_at: timestamp(observation.at, profile.updated_at) };
  switch (observation.type) {
    case 'stored':
      return observeStored(seen, observation.sample, ladder);
    case 'store_failed':
      return {
        ...observeFailed(seen),
        stable_chunks: 0,
        preferred_chunk: rungBelow(ladder, seen.preferred_chunk),
      };
    case 'read':
      return observeSucceeded(seen);
    case 'read_failed':
      return observeFailed(seen);
    case 'probed':
      return {
        ...seen,
        rtt_ewma: blendRtt(seen.rtt_ewma, observation.rttMs),
        loss_ewma: blend(seen.loss_ewma, 0),
      };
    case 'probe_failed':
      return { ...seen, loss_ewma: blend(seen.loss_ewma, 1) };
  }
}

function observeStored(profile: ProviderProfile, sample: ChunkSample, ladder: ChunkLadder): ProviderProfile {
  const rung = rungAtMost(ladder, profile.preferred_chunk);
  const told = {
    ...observeSucceeded(profile),
    preferred_chunk: rung,
    rtt_ewma: blendRtt(profile.rtt_ewma, sample.rttMs),
    total_chunks: count(profile.total_chunks),
  };
  const bandwidth = bandwidthOf(sample);
  if (bandwidth === undefined) return told;
  const bw_ewma = profile.bw_ewma === 0 ? bandwidth : blend(profile.bw_ewma, bandwidth);
  const measured = { ...told, bw_ewma, stable_chunks: count(profile.stable_chunks) };
  if (measured.stable_chunks < STABLE_CHUNKS) return measured;
  const preferred_chunk = nextRung(ladder, rung, measured);
  return preferred_chunk === rung ? measured : { ...measured, preferred_chunk, stable_chunks: 0 };
}

const observeSucceeded = (profile: ProviderProfile): ProviderProfile => ({
  ...profile,
  success_rate_ewma: blend(profile.success_rate_ewma, 1),
  recent_failures: Math.max(0, profile.recent_failures - 1),
});

const observeFailed = (profile: ProviderProfile): ProviderProfile => ({
  ...profile,
  success_rate_ewma: blend(profile.success_rate_ewma, 0),
  recent_failures: count(profile.recent_failures),
  total_failures: count(profile.total_failures),
});

/** Bytes a second, or undefined when the sample cannot tell. */
export function bandwidthOf({ bytes, elapsedMs }: ChunkSample): number | undefined {
  const possible = Number.isFinite(bytes) && Number.isFinite(elapsedMs) && elapsedMs > 0;
  if (!possible || bytes < MIN_SAMPLE_BYTES) return undefined;
  return Math.min((bytes / elapsedMs) * 1000, MAX_BANDWIDTH);
}

const blend = (average: number, sample: number): number => average + EWMA_WEIGHT * (sample - average);

function blendRtt(average: number, rttMs: number | undefined): number {
  if (rttMs === undefined || !Number.isFinite(rttMs) || rttMs < 0) return average;
  const sample = Math.min(Math.max(rttMs, RTT_MS.min), RTT_MS.max);
  return average === 0 ? sample : blend(average, sample);
}

const count = (before: number): number => Math.min(before + 1, Number.MAX_SAFE_INTEGER);

/** Whole milliseconds; adding 0 turns −0 into 0. */
function timestamp(at: number, before: number): number {
  const whole = Math.trunc(at) + 0;
  return Number.isSafeInteger(whole) && whole >= 0 ? whole : before;
}
