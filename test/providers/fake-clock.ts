import { abortError, throwIfAborted } from '../../src/core/abort.ts';
import type { Clock } from '../../src/core/clock.ts';

export interface FakeClock extends Clock {
  /** Moves the time on, waking sleepers in order and letting what they do take place. */
  advance(ms: number): Promise<void>;
  /** How long each sleep that was begun was to be. */
  readonly sleeps: readonly number[];
}

const settle = async (): Promise<void> => {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
};

/** Time that passes only when told to; with `auto`, a sleep takes its time at once. */
export function createFakeClock(auto = false): FakeClock {
  let time = 0;
  const sleeps: number[] = [];
  const sleepers = new Set<{ readonly at: number; readonly wake: () => void }>();
  return {
    sleeps,
    now: () => 1_700_000_000_000 + time,
    monotonic: () => time,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        throwIfAborted(signal, 'sleep');
        sleeps.push(ms);
        if (auto) {
          time += ms;
          resolve();
          return;
        }
        const onAbort = (): void => {
          sleepers.delete(sleeper);
          reject(abortError(signal as AbortSignal, 'sleep'));
        };
        const wake = (): void => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        };
        const sleeper = { at: time + ms, wake };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', onAbort, { once: true });
      }),
    async advance(ms) {
      const end = time + ms;
      await settle();
      for (;;) {
        const next = [...sleepers].sort((a, b) => a.at - b.at)[0];
        if (next === undefined || next.at > end) break;
        time = Math.max(time, next.at);
        sleepers.delete(next);
        next.wake();
        await settle();
      }
      time = end;
      await settle();
    },
  };
}
