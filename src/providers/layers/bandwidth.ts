import type { Clock } from '../../core/clock.ts';
import type { BlobAdapter } from '../adapter.ts';
import { sizeOfAnswer, stepwise, wrapAdapter } from './wrap.ts';

export interface BandwidthOptions {
  readonly clock: Clock;
  /** Undefined: not limited. */
  readonly upBytesPerSecond?: number | undefined;
  readonly downBytesPerSecond?: number | undefined;
}

/** Bytes are paid for before they move; where only the answer tells how many, the next call pays. */
export function withBandwidthLimit(inner: BlobAdapter, options: BandwidthOptions): BlobAdapter {
  const up = createBucket(options.clock, options.upBytesPerSecond);
  const down = createBucket(options.clock, options.downBytesPerSecond);
  // A blob that will be refused for its size never moves.
  return {
    ...wrapAdapter(inner, {
      async call(info, signal, run) {
        const known = info.operation === 'fetchRange' ? info.downBytes : 0;
        await up.take(info.upBytes > inner.capabilities.maxBlobBytes ? 0 : info.upBytes, signal);
        await down.take(known, signal);
        const answer = await run(signal);
        down.charge(sizeOfAnswer(answer));
        return answer;
      },
      stream: (_info, signal, open) =>
        stepwise(open(signal), async (next) => {
          const step = await next();
          await down.take(sizeOfAnswer(step.value), signal);
          return step;
        }),
    }),
    storeStream: (address, source, storeOptions) => {
      const paced = stepwise(source, async (next) => {
        const step = await next();
        await up.take(sizeOfAnswer(step.value), storeOptions?.signal);
        return step;
      });
      return inner.storeStream(address, paced, storeOptions);
    },
  };
}

interface Bucket {
  /** Resolves when the bytes may move; they are given back if the wait is aborted. */
  take(bytes: number, signal?: AbortSignal): Promise<void>;
  charge(bytes: number): void;
}

/** A token bucket of one second that may go into debt, so that a piece larger than it can still pass. */
function createBucket(clock: Clock, bytesPerSecond: number | undefined): Bucket {
  if (bytesPerSecond === undefined) return { take: async () => {}, charge: () => {} };
  let tokens = bytesPerSecond;
  let filledAt = clock.monotonic();

  const charge = (bytes: number): number => {
    const now = clock.monotonic();
    tokens = Math.min(bytesPerSecond, tokens + ((now - filledAt) / 1000) * bytesPerSecond) - bytes;
    filledAt = now;
    return tokens;
  };
  return {
    async take(bytes, signal) {
      if (bytes === 0) return;
      const left = charge(bytes);
      if (left >= 0) return;
      try {
        await clock.sleep((-left / bytesPerSecond) * 1000, signal);
      } catch (error) {
        tokens += bytes;
        throw error;
      }
    },
    charge: (bytes) => void charge(bytes),
  };
}
