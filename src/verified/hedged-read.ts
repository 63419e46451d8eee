import type { Clock } from '../core/clock.ts';
import type { HoldfastError } from '../core/errors.ts';
import { type Attempt, createHedge } from '../core/hedge.ts';
import { BACKEND_READS, HEDGE_AFTER_MS, hedgedAfter } from '../core/straggler-policies.ts';
import { worstOf } from '../providers/layers/mirror.ts';

/** Several ways to the same thing, of which the next is tried when the last is slow or has failed. */
export interface HedgedRead {
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

/** So many reads must have been seen before their times are the measure. */
const ENOUGH = 16;

/**
 * A read is late when it is slower than 95 of 100 recent winners were, each from when it was tried.
 * @param hedgeAfterMs the same while too few were seen.
 */
export function createHedgedRead(clock: Clock, hedgeAfterMs: number = HEDGE_AFTER_MS): HedgedRead {
  const hedge = createHedge(clock, hedgedAfter(BACKEND_READS, hedgeAfterMs), ENOUGH);
  return {
    async run(attempts, signal, discard) {
      const failures: HoldfastError[] = [];
      const won = await hedge.run(attempts, {
        signal,
        operation: 'read',
        goesOn: true,
        discard,
        onFailure: (_, error) => failures.push(error),
      });
      if (won === undefined) throw worstOf(failures);
      return won.value;
    },
  };
}
