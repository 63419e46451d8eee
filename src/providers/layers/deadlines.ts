import type { Clock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';

/** A limit on one call. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** Starts the time over. */
  extend(ms: number): void;
  /** Stops the time, e.g. while somebody else is to blame for the wait. */
  pause(): void;
  end(): void;
}

export interface Deadlines {
  start(ms: number, operation: string, outer: AbortSignal | undefined): Deadline;
  /** Lets go of the timer. */
  close(): void;
}

const LONGEST_SLEEP_MS = 1000;

interface Entry {
  expires: number;
  ms: number;
  readonly operation: string;
  readonly controller: AbortController;
}

/**
 * Deadlines of all running calls behind one sleeping loop. A timer for each call would cost more than a small
 * read from a disk; so a deadline may be noticed up to a second late.
 */
export function createDeadlines(clock: Clock): Deadlines {
  const entries = new Set<Entry>();
  let stop: AbortController | undefined;

  const expire = (now: number): number => {
    let nearest = now + LONGEST_SLEEP_MS;
    for (const entry of entries) {
      if (entry.expires > now) {
        nearest = Math.min(nearest, entry.expires);
        continue;
      }
      entries.delete(entry);
      entry.controller.abort(timedOut(entry));
    }
    return nearest - now;
  };
  const watch = async (signal: AbortSignal): Promise<void> => {
    while (entries.size > 0) await clock.sleep(Math.max(1, expire(clock.monotonic())), signal);
  };
  const ensureWatched = (): void => {
    if (stop !== undefined) return;
    const mine = new AbortController();
    stop = mine;
    const ended = (): void => {
      if (stop === mine) stop = undefined;
    };
    watch(mine.signal).then(ended, ended);
  };

  return {
    start(ms, operation, outer) {
      const entry: Entry = {
        expires: clock.monotonic() + ms,
        ms,
        operation,
        controller: new AbortController(),
      };
      const onOuter = (): void => entry.controller.abort(outer?.reason);
      if (outer?.aborted) onOuter();
      else outer?.addEventListener('abort', onOuter, { once: true });
      entries.add(entry);
      ensureWatched();
      return {
        signal: entry.controller.signal,
        extend(extendMs) {
          entry.ms = extendMs;
          entry.expires = clock.monotonic() + extendMs;
        },
        pause() {
          entry.expires = Number.POSITIVE_INFINITY;
        },
        end() {
          entries.delete(entry);
          outer?.removeEventListener('abort', onOuter);
        },
      };
    },
    close: () => stop?.abort(),
  };
}

function timedOut({ operation, ms }: Entry): HoldfastError {
  return new HoldfastError('Timeout', `${operation} made no progress for ${Math.round(ms)} ms`, {
    operation,
    context: { ms },
  });
}
