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
  const { clock, random } = options;
  const maxAttempts = options.maxAttempts ?? 4;
  const baseMs = options.baseDelayMs ?? 100;
  const maxMs = options.maxDelayMs ?? 10_000;
  const callMs = options.callTimeoutMs ?? 30_000;
  let tokens = BUDGET_TOKENS;

  const jitter = (attempt: number): number => fraction(random) * Math.min(maxMs, baseMs * 2 ** (attempt - 1));

  /** Waits and resolves if the call may be tried again; throws what the caller is to see if not. */
  const pauseOrThrow = async (error: unknown, call: Call, signal?: AbortSignal): Promise<void> => {
    const { info, attempts } = call;
    if (!(error instanceof HoldfastError) || error.status !== 'temporary' || !info.repeatable) throw error;
    // Refused by our own queue: the provider was not asked, and asking again would only make the queue longer.
    if (signal?.aborted || error.code === 'queue_full') throw error;
    call.spentMs += attemptMs(error) ?? clock.monotonic() - call.attemptedMs;
    const asked = retryAfterMs(error);
    const tooLate = call.spentMs >= callMs + (info.upBytes + info.downBytes) / BYTES_PER_MS;
    if (attempts >= maxAttempts || tokens < 1 || asked > maxMs || tooLate) {
      throw error.with({ status: 'persistent', context: { attempts } });
    }
    tokens -= 1;
    const pauseMs = Math.max(asked, jitter(attempts));
    call.spentMs += pauseMs;
    await clock.sleep(pauseMs, signal);
  };
  const begin = (info: CallInfo): Call => {
    tokens = Math.min(BUDGET_TOKENS, tokens + TOKENS_PER_CALL);
    return { info, attempts: 0, attemptedMs: 0, spentMs: 0 };
  };
  const attempt = (call: Call): void => {
    call.attempts++;
    call.attemptedMs = clock.monotonic();
  };

  return wrapAdapter(inner, {
    async call(info, signal, run) {
      const call = begin(info);
      for (;;) {
        attempt(call);
        try {
          return await run(signal);
        } catch (error) {
          await pauseOrThrow(error, call, signal);
        }
      }
    },
    async *stream(info, signal, open) {
      const call = begin(info);
      for (;;) {
        attempt(call);
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
          await pauseOrThrow(error, call, signal);
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
