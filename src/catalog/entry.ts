import { type ChunkLadder, rungAtMost } from '../profiles/ladder.ts';
import { bandwidthOf, type ChunkSample, type Observation, observe } from '../profiles/observe.ts';
import { newProfile, type ProviderProfile } from '../profiles/profile.ts';
import type { Provider } from '../providers/provider.ts';
import type { FailureKind, LastFailure } from './failures.ts';
import type { CreditBalance } from './quota.ts';

/** Observations kept until the next flush; the oldest go first when nothing flushes. */
const MAX_PENDING = 1024;

export interface Quarantine {
  readonly over: 'loss' | 'rtt';
  /** In a row. */
  readonly goodProbes: number;
}

/** What this process knows of one provider, and what of it is not stored yet. */
export class CatalogEntry {
  readonly provider: Provider;
  readonly ladder: ChunkLadder;
  readonly throughput: Readonly<Record<'store' | 'read', ThroughputWindow>> = {
    store: new ThroughputWindow(),
    read: new ThroughputWindow(),
  };
  profile: ProviderProfile;
  pending: Observation[] = [];
  /** Bytes stored here as last read from the engine, and what has been added since. */
  storedUsage = 0;
  pendingUsage = 0;
  /** Infinity: unlimited. Undefined: the settlement has never answered. */
  quota: number | undefined;
  /** Credits, as the settlement said last. */
  credits: CreditBalance | undefined;
  /** As the provider said in its last probe, if it did; 0 after it refused a store for lack of space. */
  freeBytes: number | undefined;
  quarantine: Quarantine | undefined;
  /** Monotonic times at which each was last seen. A grave failure alone is enough to be left alone for. */
  readonly seenAt: Partial<Record<FailureKind | 'grave', number>> = {};
  /** Why this process's credentials were refused the last time. */
  denial: string | undefined;
  lastFailure: LastFailure | undefined;
  lastFailureSaved = true;
  probed = false;
  /** The code of the last probe, if that failed. */
  probeFailure: string | undefined;
  /** Whether a probe of this process was answered: later ones need no new connection. */
  connected = false;
  /** What the first took, until one that says more has been answered. */
  firstProbeMs: number | undefined;
  /** Why a probe that is still under way is no longer waited for. */
  givenUp: string | undefined;
  /** What is stored cannot be read, so maintenance is not known. */
  unreadable = false;

  constructor(provider: Provider, ladder: ChunkLadder) {
    this.provider = provider;
    this.ladder = ladder;
    this.profile = newProfile(ladder);
  }

  get usedBytes(): number {
    return Math.max(0, this.storedUsage + this.pendingUsage);
  }

  /** On the ladder in force, which need not be the one the profile was stored under. */
  get preferredChunk(): number {
    return rungAtMost(this.ladder, this.profile.preferred_chunk);
  }

  /** Whatever became of its last probe. */
  answered(): void {
    this.probeFailure = undefined;
    this.givenUp = undefined;
  }

  /** Remembers why, for the operator. */
  tell(failure: LastFailure): void {
    this.lastFailure = failure;
    this.lastFailureSaved = false;
  }

  observe(observation: Observation): void {
    this.profile = observe(this.profile, observation, this.ladder);
    this.pending.push(observation);
    if (this.pending.length > MAX_PENDING) this.pending.shift();
  }

  /** Takes over a stored profile, with what has been observed here and not been stored. */
  rebase(stored: ProviderProfile | undefined): void {
    this.profile = this.fold(stored, this.pending);
  }

  fold(stored: ProviderProfile | undefined, observations: readonly Observation[]): ProviderProfile {
    return observations.reduce(
      (profile, observation) => observe(profile, observation, this.ladder),
      stored ?? newProfile(this.ladder),
    );
  }

  /** Puts back what could not be stored. */
  restore(observations: readonly Observation[], usage: number): void {
    this.pending = [...observations, ...this.pending].slice(-MAX_PENDING);
    this.pendingUsage += usage;
  }
}

/** Recent transfers remembered per provider and direction. */
const WINDOW = 128;
/** Fewer say nothing about a tail. */
const MIN_SAMPLES = 8;
const TAIL = 0.95;

/** The throughputs of the last transfers, in bytes a second. */
export class ThroughputWindow {
  readonly #samples: number[] = [];
  #next = 0;

  add(sample: ChunkSample): void {
    const throughput = bandwidthOf(sample);
    if (throughput === undefined) return;
    this.#samples[this.#next] = throughput;
    this.#next = (this.#next + 1) % WINDOW;
  }

  /** The throughput that 95 % of the last transfers reached; undefined while there are too few of them. */
  tail(): number | undefined {
    return tailThroughput(this.#samples);
  }
}

/** Nearest-rank percentile: the largest sample that at least 95 % of the samples reach. */
function tailThroughput(samples: readonly number[]): number | undefined {
  if (samples.length < MIN_SAMPLES) return undefined;
  const falling = samples.toSorted((a, b) => b - a);
  return falling[Math.ceil(TAIL * falling.length) - 1];
}
