import { abortable } from '../../core/abort.ts';
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
 * pass; one that succeeds proves nothing about data and closes nothing.
 */
export function withBreaker(inner: BlobAdapter, options: BreakerOptions): BlobAdapter {
  const breaker = createBreaker(inner.adapterId, options);
  return wrapAdapter(inner, {
    async call(info, signal, run) {
      if (info.operation === 'probe') return run(signal);
      const ticket = info.lastResort ? await breaker.enterAsLastResort(signal) : breaker.enter();
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
      const ticket = breaker.enter();
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

interface Breaker {
  enter(): Ticket;
  /** Makes a trial whatever the pause; while another is under way, waits for that and goes by what it finds. */
  enterAsLastResort(signal: AbortSignal | undefined): Promise<Ticket>;
  leave(ticket: Ticket, outcome: Outcome): void;
}

function createBreaker(provider: string, options: BreakerOptions): Breaker {
  const { clock } = options;
  const halfLifeMs = options.halfLifeMs ?? 30_000;
  const minFailures = options.minFailures ?? 5;
  const failureRatio = options.failureRatio ?? 0.5;
  const firstPauseMs = options.pauseMs ?? 5000;
  let state: BreakerState = 'closed';
  let pauseMs = firstPauseMs;
  let openUntil = 0;
  let triedAt = Number.NEGATIVE_INFINITY;
  let failedTrials = 0;
  let trial = deferred();
  let failures = 0;
  let calls = 0;
  let rememberedAt = clock.monotonic();

  const become = (next: BreakerState, why: string): void => {
    state = next;
    options.onBreaker?.(provider, next, why);
  };
  const open = (why: string): void => {
    openUntil = clock.monotonic() + pauseMs;
    become('open', why);
  };
  const remember = (failed: boolean): void => {
    const now = clock.monotonic();
    const kept = 0.5 ** ((now - rememberedAt) / halfLifeMs);
    rememberedAt = now;
    failures = failures * kept + (failed ? 1 : 0);
    calls = calls * kept + 1;
  };
  const beginTrial = (why: string): void => {
    trial = deferred();
    become('half-open', why);
  };
  const decideTrial = (due: boolean, outcome: Outcome): void => {
    if (outcome === 'success') {
      failures = 0;
      calls = 0;
      pauseMs = firstPauseMs;
      become('closed', 'a trial call succeeded');
    } else if (outcome === 'failure') {
      triedAt = clock.monotonic();
      failedTrials++;
      if (due) pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_FACTOR * firstPauseMs);
      if (due) open('a trial call failed');
      else become('open', 'a last resort failed too');
    } else {
      if (due) openUntil = clock.monotonic();
      become('open', 'a trial call was given up before it said anything');
    }
    trial.resolve();
  };

  return {
    enter() {
      if (state === 'closed') return {};
      const waitMs = openUntil - clock.monotonic();
      if (state === 'half-open' || waitMs > 0) throw circuitOpen(provider, Math.max(waitMs, 0));
      beginTrial('the pause is over');
      return { trial: 'due' };
    },
    async enterAsLastResort(signal) {
      const failedBefore = failedTrials;
      for (;;) {
        if (state === 'closed') return {};
        const now = clock.monotonic();
        if (failedTrials > failedBefore) throw circuitOpen(provider, Math.max(openUntil - now, 0));
        const tooSoonMs = triedAt + LAST_RESORT_EVERY_MS - now;
        if (state === 'half-open') await abortable(trial.promise, signal);
        else if (tooSoonMs > 0) await clock.sleep(tooSoonMs, signal);
        else {
          beginTrial('a read has nowhere else to go');
          return { trial: now < openUntil ? 'early' : 'due' };
        }
      }
    },
    leave({ trial: kind }, outcome) {
      if (kind !== undefined) return decideTrial(kind === 'due', outcome);
      if (state !== 'closed' || outcome === 'unknown') return;
      remember(outcome === 'failure');
      // Memory has decayed a little even between two calls in a row.
      if (failures > minFailures - 0.5 && failures >= failureRatio * calls) {
        open(`${Math.round(failures)} of the last ${Math.round(calls)} calls failed`);
      }
    },
  };
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
