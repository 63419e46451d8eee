import { abortable, NO_LONGER_NEEDED } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { deferred } from '../../core/deferred.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { BlobAdapter } from '../adapter.ts';
import { wrapAdapter } from './wrap.ts';

export type BreakerState = 'closed' | 'open' | 'half-open';

export interface BreakerOptions {
  readonly clock: Clock;
  /** Time after which an outcome counts half. Default 30 s. */
  readonly halfLifeMs?: number | undefined;
  /** Remembered failures below which it never opens. Default 5. */
  readonly minFailures?: number | undefined;
  /** Share of remembered calls that must have failed. Default 0.5. */
  readonly failureRatio?: number | undefined;
  /** First pause; doubled after each trial that fails, up to 16 times this. Default 5 s. */
  readonly pauseMs?: number | undefined;
  readonly onBreaker?: ((provider: string, state: BreakerState, why: string) => void) | undefined;
}

const FAULTS: ReadonlySet<string> = new Set(['Unavailable', 'Timeout', 'RateLimited']);
const MAX_PAUSE_FACTOR = 16;

/** A read that has nowhere else to go waits until so long after the last one that failed. */
const LAST_RESORT_EVERY_MS = 1_000;

/**
 * Stops asking a provider that keeps failing, for put, get and repair alike: calls reject at once with
 * `Unavailable`, code `circuit_open`, and `context.retryAfterMs`. After the pause a single call is let through to try,
 * and before its end a read that is somebody's last resort: it may find that the provider has come back. Probes always
 * pass; one that succeeds proves nothing about data and closes nothing, but ends the pause: the next call tries, and those
 * that come meanwhile wait for what it finds.
 */
export function withBreaker(inner: BlobAdapter, options: BreakerOptions): BlobAdapter {
  const breaker = new Breaker(inner.adapterId, options);
  return wrapAdapter(inner, {
    async call(info, signal, run) {
      if (info.operation === 'probe') {
        const begunMs = options.clock.monotonic();
        const answer = await run(signal);
        breaker.answered(begunMs);
        return answer;
      }
      const ticket = await (info.lastResort ? breaker.enterAsLastResort(signal) : breaker.enter(signal));
      try {
        const answer = await run(signal);
        breaker.leave(ticket, 'success');
        return answer;
      } catch (error) {
        breaker.leave(ticket, outcomeOf(error));
        throw error;
      }
    },
    async *stream(_info, signal, open) {
      const ticket = await breaker.enter(signal);
      let outcome: Outcome = 'unknown';
      try {
        yield* open(signal);
        outcome = 'success';
      } catch (error) {
        outcome = outcomeOf(error);
        throw error;
      } finally {
        breaker.leave(ticket, outcome);
      }
    },
  });
}

type Outcome = 'success' | 'failure' | 'unknown';

/** `trial` marks the one call that decides whether to close again; `early`, that the pause was not over. */
interface Ticket {
  readonly trial?: 'due' | 'early';
}

/** Whether one provider is asked, by how its calls ended. */
class Breaker {
  readonly #provider: string;
  readonly #options: BreakerOptions;
  readonly #clock: Clock;
  readonly #firstPauseMs: number;
  #state: BreakerState = 'closed';
  #pauseMs: number;
  #openedMs = 0;
  #openUntil = 0;
  /** A probe was answered that was begun since it opened. */
  #isThere = false;
  #triedAt = Number.NEGATIVE_INFINITY;
  #failedTrials = 0;
  #trial = deferred();
  #failures = 0;
  #calls = 0;
  #rememberedAt: number;

  constructor(provider: string, options: BreakerOptions) {
    this.#provider = provider;
    this.#options = options;
    this.#clock = options.clock;
    this.#firstPauseMs = options.pauseMs ?? 5000;
    this.#pauseMs = this.#firstPauseMs;
    this.#rememberedAt = options.clock.monotonic();
  }

  async enter(signal: AbortSignal | undefined): Promise<Ticket> {
    if (this.#state === 'half-open' && this.#isThere) await this.#trialOver(signal);
    if (this.#state === 'closed') return {};
    const waitMs = this.#isThere ? 0 : this.#openUntil - this.#clock.monotonic();
    if (this.#state === 'half-open' || waitMs > 0) throw circuitOpen(this.#provider, Math.max(waitMs, 0));
    this.#beginTrial(this.#isThere ? 'a probe was answered' : 'the pause is over');
    return { trial: 'due' };
  }

  /** A trial may be a stream that its reader leaves standing: nobody waits for that longer than the pause would be. */
  async #trialOver(signal: AbortSignal | undefined): Promise<void> {
    const over = new AbortController();
    const both = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
    try {
      await Promise.race([this.#trial.promise, this.#clock.sleep(this.#firstPauseMs, both)]);
    } finally {
      over.abort(NO_LONGER_NEEDED);
    }
  }

  /** @param begunMs when the probe was. */
  answered(begunMs: number): void {
    if (this.#state !== 'closed' && begunMs >= this.#openedMs) this.#isThere = true;
  }

  /** Makes a trial whatever the pause; while another is under way, waits for that and goes by what it finds. */
  async enterAsLastResort(signal: AbortSignal | undefined): Promise<Ticket> {
    const failedBefore = this.#failedTrials;
    for (;;) {
      if (this.#state === 'closed') return {};
      const now = this.#clock.monotonic();
      if (this.#failedTrials > failedBefore)
        throw circuitOpen(this.#provider, Math.max(this.#openUntil - now, 0));
      const tooSoonMs = this.#triedAt + LAST_RESORT_EVERY_MS - now;
      if (this.#state === 'half-open') await abortable(this.#trial.promise, signal);
      else if (tooSoonMs > 0) await this.#clock.sleep(tooSoonMs, signal);
      else {
        this.#beginTrial('a read has nowhere else to go');
        return { trial: now < this.#openUntil ? 'early' : 'due' };
      }
    }
  }

  leave({ trial }: Ticket, outcome: Outcome): void {
    if (trial !== undefined) {
      this.#decideTrial(trial === 'due', outcome);
      return;
    }
    if (this.#state !== 'closed' || outcome === 'unknown') return;
    this.#remember(outcome === 'failure');
    const { minFailures = 5, failureRatio = 0.5 } = this.#options;
    // Memory has decayed a little even between two calls in a row.
    if (this.#failures > minFailures - 0.5 && this.#failures >= failureRatio * this.#calls) {
      this.#open(`${Math.round(this.#failures)} of the last ${Math.round(this.#calls)} calls failed`);
    }
  }

  #become(next: BreakerState, why: string): void {
    this.#state = next;
    this.#options.onBreaker?.(this.#provider, next, why);
  }

  #open(why: string): void {
    this.#openedMs = this.#clock.monotonic();
    this.#openUntil = this.#openedMs + this.#pauseMs;
    this.#isThere = false;
    this.#become('open', why);
  }

  #remember(failed: boolean): void {
    const now = this.#clock.monotonic();
    const kept = 0.5 ** ((now - this.#rememberedAt) / (this.#options.halfLifeMs ?? 30_000));
    this.#rememberedAt = now;
    this.#failures = this.#failures * kept + (failed ? 1 : 0);
    this.#calls = this.#calls * kept + 1;
  }

  #beginTrial(why: string): void {
    this.#trial = deferred();
    this.#become('half-open', why);
  }

  #decideTrial(due: boolean, outcome: Outcome): void {
    if (outcome === 'success') {
      this.#failures = 0;
      this.#calls = 0;
      this.#pauseMs = this.#firstPauseMs;
      this.#isThere = false;
      this.#become('closed', 'a trial call succeeded');
    } else if (outcome === 'failure') {
      this.#triedAt = this.#clock.monotonic();
      this.#failedTrials++;
      this.#isThere = false;
      if (due) this.#pauseMs = Math.min(2 * this.#pauseMs, MAX_PAUSE_FACTOR * this.#firstPauseMs);
      if (due) this.#open('a trial call failed');
      else this.#become('open', 'a last resort failed too');
    } else {
      if (due) this.#openUntil = this.#clock.monotonic();
      this.#become('open', 'a trial call was given up before it said anything');
    }
    this.#trial.resolve();
  }
}

/** What is the caller's doing, or an answer such as "not found", does not count against the provider. */
function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof HoldfastError)) return 'failure';
  if (error.kind === 'Aborted' || error.code === 'closed' || error.code === 'queue_full') return 'unknown';
  return FAULTS.has(error.kind) ? 'failure' : 'success';
}

function circuitOpen(provider: string, retryAfterMs: number): HoldfastError {
  return new HoldfastError('Unavailable', `provider "${provider}" failed repeatedly and is given a rest`, {
    provider,
    code: 'circuit_open',
    context: { retryAfterMs: Math.ceil(retryAfterMs) },
  });
}
