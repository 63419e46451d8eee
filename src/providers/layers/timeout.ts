import { abortable } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import type { BlobAdapter } from '../adapter.ts';
import { createDeadlines, type Deadline } from './deadlines.ts';
import { type CallInfo, stepwise, wrapAdapter } from './wrap.ts';

/** Operations that work in the caller's memory. */
const SHARES_MEMORY: ReadonlySet<string> = new Set(['fetchRange', 'store']);

export interface TimeoutOptions {
  readonly clock: Clock;
  /** Of a call that moves no bytes, and of one piece of a stream. Default 30 s. */
  readonly callTimeoutMs?: number | undefined;
  /** Slowest transfer that is waited for: it lengthens the deadline of a call by its bytes. Default 64 KiB/s. */
  readonly minBytesPerSecond?: number | undefined;
}

/**
 * Ends attempts that take too long with `Timeout`. A deadline ends the wait even where the adapter ignores its
 * signal, except for `fetchRange` and `store`: there the caller's memory is its own again only when the adapter has
 * let go of it.
 */
export function withTimeout(inner: BlobAdapter, options: TimeoutOptions): BlobAdapter {
  const callMs = options.callTimeoutMs ?? 30_000;
  const perByteMs = 1000 / (options.minBytesPerSecond ?? 64 * 1024);
  const deadlines = createDeadlines(options.clock);
  const budget = (info: CallInfo): number => callMs + (info.upBytes + info.downBytes) * perByteMs;

  const run = async <T>(
    ms: number,
    operation: string,
    signal: AbortSignal | undefined,
    work: (deadline: Deadline) => Promise<T>,
  ): Promise<T> => {
    const deadline = deadlines.start(ms, operation, signal);
    try {
      return await work(deadline);
    } finally {
      deadline.end();
    }
  };

  return {
    ...wrapAdapter(inner, {
      call: (info, outer, attempt) =>
        run(budget(info), info.operation, outer, ({ signal }) =>
          SHARES_MEMORY.has(info.operation)
            ? attempt(signal)
            : abortable(attempt(signal), signal, info.operation),
        ),
      async *stream(info, outer, open) {
        const deadline = deadlines.start(callMs, info.operation, outer);
        try {
          yield* stepwise(open(deadline.signal), async (next) => {
            deadline.extend(callMs);
            const step = await abortable(next(), deadline.signal, info.operation);
            deadline.pause();
            return step;
          });
        } finally {
          deadline.end();
        }
      },
    }),
    storeStream: async (address, source, storeOptions) =>
      run(callMs, 'storeStream', storeOptions?.signal, (deadline) => {
        const timed = timeConsumer(source, deadline, callMs, perByteMs);
        const attempt = inner.storeStream(address, timed, { ...storeOptions, signal: deadline.signal });
        return abortable(attempt, deadline.signal, 'storeStream');
      }),
    close: async () => {
      deadlines.close();
      await inner.close();
    },
  };
}

/** The clock runs while the adapter is busy with a piece, not while the source is. */
function timeConsumer(
  source: AsyncIterable<Uint8Array>,
  deadline: Deadline,
  callMs: number,
  perByteMs: number,
): AsyncIterable<Uint8Array> {
  let total = 0;
  return stepwise(source, async (next) => {
    deadline.pause();
    const step = await next();
    if (!step.done) total += step.value.length;
    deadline.extend(callMs + total * perByteMs);
    return step;
  });
}
