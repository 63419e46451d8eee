import type { Clock } from '../../core/clock.ts';
import { asHoldfastError, type HoldfastError } from '../../core/errors.ts';
import type { BlobAdapter } from '../adapter.ts';
import { type CallInfo, type Operation, sizeOfAnswer, wrapAdapter } from './wrap.ts';

/** One attempt on the wire, retries counted singly: what profiles and metrics are made from. */
export interface Attempt {
  readonly provider: string;
  readonly operation: Operation;
  readonly ms: number;
  /** Bytes moved; of a failed attempt only what a stream had delivered. */
  readonly upBytes: number;
  readonly downBytes: number;
  readonly error: HoldfastError | undefined;
}

/** The port behind which metrics and profiles sit. Must not throw and must return at once. */
export type AttemptObserver = (attempt: Attempt) => void;

export interface MetricsOptions {
  readonly clock: Clock;
  readonly onAttempt: AttemptObserver;
}

const failedAfterMs = new WeakMap<object, number>();

/** How long the attempt that ended in this error took at the provider; undefined when it passed no metrics layer. */
export const attemptMs = (error: object): number | undefined => failedAfterMs.get(error);

/** Tells how every single attempt went. */
export function withMetrics(inner: BlobAdapter, { clock, onAttempt }: MetricsOptions): BlobAdapter {
  const report = (
    info: CallInfo,
    start: number,
    upBytes: number,
    downBytes: number,
    error?: unknown,
  ): void => {
    const ms = clock.monotonic() - start;
    if (typeof error === 'object' && error !== null) failedAfterMs.set(error, ms);
    onAttempt({
      provider: info.provider,
      operation: info.operation,
      ms,
      upBytes,
      downBytes,
      error: error === undefined ? undefined : asHoldfastError(error),
    });
  };

  return wrapAdapter(inner, {
    async call(info, signal, run) {
      const start = clock.monotonic();
      try {
        const answer = await run(signal);
        const down = info.operation === 'fetchRange' ? info.downBytes : sizeOfAnswer(answer);
        report(info, start, info.upBytes + storedBytes(answer), down);
        return answer;
      } catch (error) {
        report(info, start, 0, 0, error);
        throw error;
      }
    },
    async *stream(info, signal, open) {
      // The reader's own time between two pieces is not the provider's: only waits are counted.
      let waited = 0;
      let downBytes = 0;
      let failure: unknown;
      const iterator = open(signal)[Symbol.asyncIterator]();
      try {
        for (;;) {
          const asked = clock.monotonic();
          const step = await iterator.next().finally(() => {
            waited += clock.monotonic() - asked;
          });
          if (step.done) return;
          downBytes += sizeOfAnswer(step.value);
          yield step.value;
        }
      } catch (error) {
        failure = error;
        throw error;
      } finally {
        report(info, clock.monotonic() - waited, 0, downBytes, failure);
        await iterator.return?.();
      }
    },
  });
}

/** What a `storeStream` that succeeded has sent. */
function storedBytes(answer: unknown): number {
  const size: unknown =
    typeof answer === 'object' && answer !== null && 'address' in answer && 'size' in answer && answer.size;
  return typeof size === 'number' ? size : 0;
}
