import type { Clock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import type { BlobAdapter } from '../adapter.ts';
import { attemptMs } from './metrics.ts';
import { type CallInfo, wrapAdapter } from './wrap.ts';

export interface RetryOptions {
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Attempts of one call in all. Default 4. */
  readonly maxAttempts?: number | undefined;
  /** Upper bound of the first wait; doubled each time. Default 100 ms. */
  readonly baseDelayMs?: number | undefined;
  /**
   * No attempt starts once those before it, and the pauses between them, took this long and the time for the call's
   * bytes: one attempt alone may take as long. Time in the queues of the limits does not count. Default 30 s.
   */
  readonly callTimeoutMs?: number | undefined;
  /** No wait is longer; a provider that asks for a longer one is given up on for now. Default 10 s. */
  readonly maxDelayMs?: number | undefined;
}

/** Retries that may be saved up, and what each call adds: a provider that is down is not asked ten times as often. */
const BUDGET_TOKENS = 20;
const TOKENS_PER_CALL = 0.1;
/** Slowest transfer that lengthens a call's time, as for the deadline of an attempt. */
const BYTES_PER_MS = 64 * 1.024;

/**
 * Repeats calls that failed for a while only and that may be repeated, after a random wait of up to
 * base · 2ⁿ ("full jitter", M. Brooker, "Exponential Backoff and Jitter", 2015), or what `Retry-After` asked for. What still fails
 * leaves as `persistent`.
 */
export function withRetry(inner: BlobAdapter, options: RetryOptions): BlobAdapter {
  const retries = new Retries(options);
  return wrapAdapter(inner, {
    async call(info, signal, run) {
      const call = retries.begin(info);
      for (;;) {
        retries.attempt(call);
        try {
          return await run(signal);
        } catch (error) {
          await retries.pauseOrThrow(error, call, signal);
        }
      }
    },
    async *stream(info, signal, open) {
      const call = retries.begin(info);
      for (;;) {
        retries.attempt(call);
        let yielded = false;
        try {
          for await (const item of open(signal)) {
            yielded = true;
            yield item;
          }
          return;
        } catch (error) {
          // What the reader has already seen cannot be taken back.
          if (yielded) throw error;
          await retries.pauseOrThrow(error, call, signal);
        }
      }
    },
  });
}

/** One call and its attempts so far. */
interface Call {
  readonly info: CallInfo;
  attempts: number;
  /** When the latest attempt was begun. */
  attemptedMs: number;
  /** What attempts and pauses took. */
  spentMs: number;
}

/** Which calls to one provider are repeated, and when. */
class Retries {
  readonly #clock: Clock;
  readonly #random: RandomBytes;
  readonly #maxAttempts: number;
  readonly #baseMs: number;
  readonly #maxMs: number;
  readonly #callMs: number;
  #tokens = BUDGET_TOKENS;

  constructor(options: RetryOptions) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#maxAttempts = options.maxAttempts ?? 4;
    this.#baseMs = options.baseDelayMs ?? 100;
    this.#maxMs = options.maxDelayMs ?? 10_000;
    this.#callMs = options.callTimeoutMs ?? 30_000;
  }

  begin(info: CallInfo): Call {
    this.#tokens = Math.min(BUDGET_TOKENS, this.#tokens + TOKENS_PER_CALL);
    return { info, attempts: 0, attemptedMs: 0, spentMs: 0 };
  }

  attempt(call: Call): void {
    call.attempts++;
    call.attemptedMs = this.#clock.monotonic();
  }

  /** Waits and resolves if the call may be tried again; throws what the caller is to see if not. */
  async pauseOrThrow(error: unknown, call: Call, signal: AbortSignal | undefined): Promise<void> {
    const { info, attempts } = call;
    if (!(error instanceof HoldfastError) || error.status !== 'temporary' || !info.repeatable) throw error;
    if (info.repeatable === 'refused' && error.kind !== 'RateLimited') throw error;
    // Refused by our own queue: the provider was not asked, and asking again would only make the queue longer.
    if (signal?.aborted || error.code === 'queue_full') throw error;
    call.spentMs += attemptMs(error) ?? this.#clock.monotonic() - call.attemptedMs;
    const asked = retryAfterMs(error);
    const tooLate = call.spentMs >= this.#callMs + (info.upBytes + info.downBytes) / BYTES_PER_MS;
    if (attempts >= this.#maxAttempts || this.#tokens < 1 || asked > this.#maxMs || tooLate) {
      throw error.with({ status: 'persistent', context: { attempts } });
    }
    this.#tokens -= 1;
    const pauseMs = Math.max(asked, this.#jitter(attempts));
    call.spentMs += pauseMs;
    await this.#clock.sleep(pauseMs, signal);
  }

  #jitter(attempt: number): number {
    return fraction(this.#random) * Math.min(this.#maxMs, this.#baseMs * 2 ** (attempt - 1));
  }
}

/** `context.retryAfterMs`, which adapters set from the provider's answer; 0 where there is none. */
function retryAfterMs(error: HoldfastError): number {
  const asked = error.context.retryAfterMs;
  return typeof asked === 'number' && asked > 0 ? asked : 0;
}

/** Uniform in [0, 1). */
function fraction(random: RandomBytes): number {
  const [a = 0, b = 0, c = 0] = random(3);
  return (a * 65_536 + b * 256 + c) / 2 ** 24;
}
