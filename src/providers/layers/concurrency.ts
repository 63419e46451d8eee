import { abortError, throwIfAborted } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { BlobAdapter } from '../adapter.ts';
import { firstGoodput, nextGoodput } from './goodput.ts';
import { sizeOfAnswer, stepwise, wrapAdapter } from './wrap.ts';

export interface ConcurrencyOptions {
  readonly clock: Clock;
  /** Upper bound of calls in flight; the limit in force adapts below it. */
  readonly maxConcurrency: number;
  /** Calls that may wait; one more is refused with `RateLimited`, code `queue_full`. Default 1024. */
  readonly maxWaiting?: number | undefined;
}

const FIRST_LIMIT = 4;
const WINDOW_CALLS = 8;
/** So many calls must have succeeded before their times say something. */
const ENOUGH_TIMES = 4;
const OVERLOAD: ReadonlySet<string> = new Set(['RateLimited', 'Timeout', 'Unavailable']);

/**
 * Bounds the calls in flight and adapts the bound to what the provider can take. First come, first served. A
 * stream counts only while a piece is being waited for, so that using two providers, or one inside the other's
 * loop, cannot lock up. Probes pass: behind our own queue they would tell of that, not of the provider.
 */
export function withConcurrencyLimit(inner: BlobAdapter, options: ConcurrencyOptions): BlobAdapter {
  const gate = createGate(options);
  return {
    ...wrapAdapter(inner, {
      async call(info, signal, run) {
        if (info.operation === 'probe') return run(signal);
        await gate.enter(signal, info.operation);
        const began = options.clock.monotonic();
        try {
          const answer = await run(signal);
          gate.took(options.clock.monotonic() - began);
          gate.leave(
            info.upBytes + (info.operation === 'fetchRange' ? info.downBytes : sizeOfAnswer(answer)),
          );
          return answer;
        } catch (error) {
          gate.leave(0, error);
          throw error;
        }
      },
      stream: (info, signal, open) =>
        stepwise(open(signal), async (next) => {
          await gate.enter(signal, info.operation);
          try {
            const step = await next();
            gate.leave(sizeOfAnswer(step.value));
            return step;
          } catch (error) {
            gate.leave(0, error);
            throw error;
          }
        }),
    }),
    async storeStream(address, source, storeOptions) {
      const signal = storeOptions?.signal;
      const seat = createSeat(gate, signal);
      await seat.take();
      const stepOut = stepwise(source, async (next) => {
        seat.give();
        const step = await next();
        await seat.take();
        seat.bytes = sizeOfAnswer(step.value);
        return step;
      });
      try {
        return await inner.storeStream(address, stepOut, storeOptions);
      } catch (error) {
        seat.give(error);
        throw error;
      } finally {
        seat.close();
      }
    },
  };
}

/** One long call's place in the gate, given up while its source is waited for. */
function createSeat(gate: Gate, signal: AbortSignal | undefined) {
  let seated = false;
  let closed = false;
  const seat = {
    /** Moved since the place was taken. */
    bytes: 0,
    async take(): Promise<void> {
      if (closed) return;
      await gate.enter(signal, 'storeStream');
      seated = true;
      if (closed) seat.give(); // the call ended while its source kept it waiting
    },
    give(error?: unknown): void {
      if (!seated) return;
      seated = false;
      gate.leave(seat.bytes, error);
      seat.bytes = 0;
    },
    close(): void {
      closed = true;
      seat.give();
    },
  };
  return seat;
}

interface Gate {
  enter(signal: AbortSignal | undefined, operation: string): Promise<void>;
  leave(bytes: number, error?: unknown): void;
  /** What a whole call took, before it leaves. A piece of a stream says nothing: most are there already. */
  took(ms: number): void;
}

interface Waiter {
  readonly admit: () => void;
}

function createGate({ clock, maxConcurrency, maxWaiting = 1024 }: ConcurrencyOptions): Gate {
  let state = firstGoodput(Math.min(FIRST_LIMIT, maxConcurrency));
  const empty = () => ({
    ...{ start: clock.monotonic(), bytes: 0, completed: 0, overloaded: 0, saturated: false },
    times: [] as number[],
  });
  let window = empty();
  let running = 0;
  const waiting = new Set<Waiter>();

  const adapt = (): void => {
    const elapsedMs = clock.monotonic() - window.start;
    const { times, ...counts } = window;
    state = nextGoodput(state, { ...counts, elapsedMs, medianMs: median(times) }, maxConcurrency);
    window = empty();
  };
  const admitWaiting = (): void => {
    for (const waiter of waiting) {
      if (running >= state.limit) return;
      waiting.delete(waiter);
      running++;
      waiter.admit();
    }
  };

  return {
    async enter(signal, operation) {
      throwIfAborted(signal, operation);
      if (running + 1 >= state.limit) window.saturated = true;
      if (running < state.limit) {
        running++;
        return;
      }
      if (waiting.size >= maxWaiting) throw queueFull(maxWaiting);
      await new Promise<void>((resolve, reject) => {
        const onAbort = (): void => {
          waiting.delete(waiter);
          reject(abortError(signal as AbortSignal, operation));
        };
        const waiter: Waiter = {
          admit: () => {
            signal?.removeEventListener('abort', onAbort);
            resolve();
          },
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        waiting.add(waiter);
      });
    },
    took: (ms) => void window.times.push(ms),
    leave(bytes, error) {
      running--;
      window.bytes += bytes;
      window.completed++;
      if (error instanceof HoldfastError && OVERLOAD.has(error.kind)) window.overloaded++;
      if (window.completed >= Math.max(WINDOW_CALLS, 2 * state.limit)) adapt();
      admitWaiting();
    },
  };
}

function median(times: readonly number[]): number | undefined {
  if (times.length < ENOUGH_TIMES) return undefined;
  return times.toSorted((a, b) => a - b)[times.length >> 1];
}

function queueFull(maxWaiting: number): HoldfastError {
  return new HoldfastError('RateLimited', 'too many calls already wait for this provider', {
    code: 'queue_full',
    context: { maxWaiting },
  });
}
