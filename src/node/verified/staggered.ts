import { type LinkedAbort, linkedAbort, NO_LONGER_NEEDED } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { asHoldfastError, HoldfastError } from '../../core/errors.ts';
import { worstOf } from '../../providers/layers/mirror.ts';

export type Attempt<T> = (signal: AbortSignal) => Promise<T>;

/** Several ways to the same thing, of which the next is tried when the last is slow or has failed. */
export interface Staggered {
  /**
   * The first to succeed wins and the others are aborted; the winner's signal stays linked to `outer`.
   * @param discard what came too late.
   * @throws HoldfastError when all have failed.
   */
  run<T>(
    attempts: readonly Attempt<T>[],
    outer: AbortSignal | undefined,
    discard: (late: T) => void,
  ): Promise<T>;
}

/** So many of the latest winners are remembered, and so many must have been seen. */
const MEMORY = 128;
const ENOUGH = 16;
const QUANTILE = 0.95;
/** The wait while too little is known, and its bounds. */
const FIRST_WAIT_MS = 200;
const SHORTEST_WAIT_MS = 5;
const LONGEST_WAIT_MS = 10_000;

type Outcome<T> = { readonly stop: LinkedAbort } & (
  | { readonly value: T; readonly ms: number }
  | { readonly error: HoldfastError }
);

/** "Slow" is slower than 95 of 100 recent winners, each by its own time from when it was tried. */
export function createStaggered(clock: Clock): Staggered {
  const recent: number[] = [];

  const record = (ms: number): void => {
    if (recent.push(ms) > MEMORY) recent.shift();
  };
  const patienceMs = (): number => {
    if (recent.length < ENOUGH) return FIRST_WAIT_MS;
    const sorted = [...recent].sort((a, b) => a - b);
    const slow = sorted[Math.floor(QUANTILE * sorted.length)]!;
    return Math.min(LONGEST_WAIT_MS, Math.max(SHORTEST_WAIT_MS, slow));
  };

  return {
    async run<T>(
      attempts: readonly Attempt<T>[],
      outer: AbortSignal | undefined,
      discard: (late: T) => void,
    ) {
      const running = new Map<LinkedAbort, Promise<Outcome<T>>>();
      const failures: HoldfastError[] = [];
      const waiting = attempts.values();
      let left = attempts.length;

      const launch = (): void => {
        const next = waiting.next();
        if (next.done) return;
        left--;
        const stop = linkedAbort(outer, 'read');
        const startMs = clock.monotonic();
        const outcome = next.value(stop.signal).then(
          (value): Outcome<T> => ({ stop, value, ms: clock.monotonic() - startMs }),
          (error: unknown): Outcome<T> => ({ stop, error: asHoldfastError(error) }),
        );
        running.set(stop, outcome);
      };

      launch();
      try {
        for (;;) {
          const outcome = await firstOrTimeout(
            [...running.values()],
            left > 0 ? patienceMs() : undefined,
            clock,
          );
          if (outcome === undefined) {
            launch();
            continue;
          }
          running.delete(outcome.stop);
          if ('value' in outcome) {
            record(outcome.ms);
            return outcome.value;
          }
          outcome.stop.dispose();
          failures.push(outcome.error);
          if (running.size === 0 && left === 0) throw worstOf(failures);
          if (!outer?.aborted) launch();
          if (running.size === 0) throw worstOf(failures);
        }
      } finally {
        const lost = new HoldfastError('Aborted', 'another backend was faster', { code: 'lost_race' });
        for (const [stop, late] of running) {
          stop.dispose();
          stop.abort(lost);
          void late.then((outcome) => 'value' in outcome && discard(outcome.value));
        }
      }
    },
  };
}

async function firstOrTimeout<T>(
  running: readonly Promise<T>[],
  ms: number | undefined,
  clock: Clock,
): Promise<T | undefined> {
  if (ms === undefined) return Promise.race(running);
  const enough = new AbortController();
  const timeout = clock.sleep(ms, enough.signal).then(
    () => undefined,
    () => undefined,
  );
  try {
    return await Promise.race([...running, timeout]);
  } finally {
    enough.abort(NO_LONGER_NEEDED);
  }
}
