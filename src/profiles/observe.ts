import { type ChunkLadder, nextRung, rungAtMost, rungBelow, STABLE_CHUNKS } from './ladder.ts';
import type { ProviderProfile } from './profile.ts';
import { bounded, EWMA_WEIGHT, sampled } from './profile.ts';

/** One thing that happened on the way to a provider. `at` is in milliseconds since the Unix epoch. */
export type Observation =
  | { readonly type: 'stored'; readonly at: number; readonly sample: Delivery }
  | { readonly type: 'read'; readonly at: number; readonly elapsedMs?: number | undefined }
  /** @param counts recent failures it stands for; default 1. */
  | { readonly type: 'store_failed' | 'read_failed'; readonly at: number; readonly counts?: number }
  /** A race was lost. `sample`: what was under way, and for how long; the link carries less than that. */
  | { readonly type: 'slow'; readonly at: number; readonly sample: ChunkSample }
  /** What had been acknowledged was gone or altered. */
  | { readonly type: 'lied'; readonly at: number }
  /** `rttMs` is left out where the answer took the time of making a connection too; `measured` follows then. */
  | {
      readonly type: 'probed';
      readonly at: number;
      readonly rttMs?: number | undefined;
      readonly mode?: ProbeMode;
    }
  | { readonly type: 'measured'; readonly at: number; readonly rttMs: number }
  | { readonly type: 'probe_failed'; readonly at: number; readonly mode?: ProbeMode };

/**
 * `regular`: counts, and is the default. `passing`: made on the way to something else, by each of many commands, so it
 * counts only when none has for {@link PASSING_EVERY_MS}. `pardon`: asked for by the operator of a provider in
 * quarantine; a success is all that is known of it then.
 */
export type ProbeMode = 'regular' | 'passing' | 'pardon';

/** One delivery of bytes. A measurement that cannot be (NaN, negative, a clock that jumped back) is left out. */
export interface ChunkSample {
  readonly bytes: number;
  readonly elapsedMs: number;
  readonly rttMs?: number | undefined;
}

interface Delivery extends ChunkSample {
  /** Chunks of which the delivery held shards. Default 1. */
  readonly chunks?: number | undefined;
}

/** Shorter transfers are all latency: they say nothing about bandwidth and do not count as stable. */
const MIN_SAMPLE_BYTES: number = 64 * 1024;
/** Half the interval of those that run by themselves: two of these never count where one of those would. */
const PASSING_EVERY_MS = 15_000;
/** Keeps a tick of a coarse clock from looking like infinite speed. 1 TiB a second. */
const MAX_BANDWIDTH = 1024 ** 4;

/**
 * The profile after an observation: a pure function, so the same observations give the same bytes anywhere.
 *
 * A chunk is *stable* when it was delivered in one go, long enough to tell of the link (`MIN_SAMPLE_BYTES`), and no
 * store failed since the last change of the rung. Only chunks move the rung: a delivery by at most one and after
 * `STABLE_CHUNKS` stable ones, which is when a poor link is forced down too; a failed store by one at once. Probes
 * feed the averages those decisions read. A lost race is slowness: it lowers the bandwidth and is no failure.
 */
export function observe(
  profile: ProviderProfile,
  observation: Observation,
  ladder: ChunkLadder,
): ProviderProfile {
  const updated_at = timestamp(observation.at, profile.updated_at);
  const seen = { ...profile, updated_at };
  switch (observation.type) {
    case 'stored':
      return observeStored(seen, observation.sample, ladder);
    case 'store_failed':
      return {
        ...observeFailed(seen, observation.counts),
        stable_chunks: 0,
        preferred_chunk: rungBelow(ladder, seen.preferred_chunk),
      };
    case 'read':
      return { ...observeSucceeded(seen), ...bounded(seen, observation.elapsedMs) };
    case 'read_failed':
      return observeFailed(seen, observation.counts);
    case 'slow':
      return observeSlow(seen, observation.sample);
    case 'lied':
      return {
        ...seen,
        success_rate_ewma: blend(seen.success_rate_ewma, 0),
        total_lies: count(seen.total_lies),
        lied_at: updated_at,
      };
    case 'measured':
      return { ...seen, ...sampled(seen, observation.rttMs) };
    case 'probed':
    case 'probe_failed':
      return observeProbe(seen, observation, countsProbe(profile, observation));
  }
}

/** Whether a probe counts, given those that others have made. */
export function countsProbe(
  { probed_at }: Pick<ProviderProfile, 'probed_at'>,
  { at, mode }: { readonly at: number; readonly mode?: ProbeMode },
): boolean {
  return mode !== 'passing' || at < probed_at || at - probed_at >= PASSING_EVERY_MS;
}

function observeProbe(
  profile: ProviderProfile,
  probe: Extract<Observation, { readonly type: 'probed' | 'probe_failed' }>,
  counts: boolean,
): ProviderProfile {
  const answered = probe.type === 'probed';
  const silent_since = answered ? 0 : profile.silent_since || profile.updated_at;
  if (!counts) return { ...profile, ...bounded(profile, answered ? probe.rttMs : undefined), silent_since };
  const seen = { ...profile, silent_since, probed_at: profile.updated_at };
  if (!answered) return { ...seen, loss_ewma: blend(profile.loss_ewma, 1) };
  const pardon = probe.mode === 'pardon';
  return {
    ...seen,
    ...sampled(pardon ? { rtt_ewma: 0, rtt_samples: 0 } : profile, probe.rttMs),
    loss_ewma: pardon ? 0 : blend(profile.loss_ewma, 0),
  };
}

function observeStored(profile: ProviderProfile, sample: Delivery, ladder: ChunkLadder): ProviderProfile {
  const rung = rungAtMost(ladder, profile.preferred_chunk);
  const { chunks = 1 } = sample;
  const told = {
    ...observeSucceeded(profile),
    preferred_chunk: rung,
    ...bounded(sampled(profile, sample.rttMs), sample.elapsedMs),
    total_chunks: count(profile.total_chunks, chunks),
  };
  const bandwidth = bandwidthOf(sample);
  if (bandwidth === undefined) return told;
  const bw_ewma = profile.bw_ewma === 0 ? bandwidth : blend(profile.bw_ewma, bandwidth);
  const measured = { ...told, bw_ewma, stable_chunks: count(profile.stable_chunks, chunks) };
  if (measured.stable_chunks < STABLE_CHUNKS) return measured;
  const preferred_chunk = nextRung(ladder, rung, measured);
  return preferred_chunk === rung ? measured : { ...measured, preferred_chunk, stable_chunks: 0 };
}

const observeSucceeded = (profile: ProviderProfile): ProviderProfile => ({
  ...profile,
  success_rate_ewma: blend(profile.success_rate_ewma, 1),
  recent_failures: Math.max(0, profile.recent_failures - 1),
  recent_slow: Math.max(0, profile.recent_slow - 1),
  // Who does what is asked of it is there, whatever became of its last probe.
  silent_since: 0,
});

const observeFailed = (profile: ProviderProfile, counts = 1): ProviderProfile => ({
  ...profile,
  success_rate_ewma: blend(profile.success_rate_ewma, 0),
  recent_failures: count(profile.recent_failures, counts),
  total_failures: count(profile.total_failures),
  failed_at: profile.updated_at,
});

/** What was under way bounds the bandwidth from above. */
function observeSlow(profile: ProviderProfile, sample: ChunkSample): ProviderProfile {
  const most = bandwidthOf(sample) ?? Number.POSITIVE_INFINITY;
  return {
    ...profile,
    bw_ewma: most < profile.bw_ewma ? blend(profile.bw_ewma, most) : profile.bw_ewma,
    recent_slow: count(profile.recent_slow),
    total_slow: count(profile.total_slow),
    slow_at: profile.updated_at,
  };
}

/** Bytes a second, or undefined when the sample cannot tell. */
export function bandwidthOf({ bytes, elapsedMs }: ChunkSample): number | undefined {
  const possible = Number.isFinite(bytes) && Number.isFinite(elapsedMs) && elapsedMs > 0;
  if (!possible || bytes < MIN_SAMPLE_BYTES) return undefined;
  return Math.min((bytes / elapsedMs) * 1000, MAX_BANDWIDTH);
}

const blend = (average: number, sample: number): number => average + EWMA_WEIGHT * (sample - average);

const count = (before: number, more = 1): number => Math.min(before + more, Number.MAX_SAFE_INTEGER);

/** Whole milliseconds; adding 0 turns −0 into 0. */
function timestamp(at: number, before: number): number {
  const whole = Math.trunc(at) + 0;
  return Number.isSafeInteger(whole) && whole >= 0 ? whole : before;
}
