import { abortable } from './abort.ts';

/**
 * Work that all who ask for the same key at the same time share. It goes on while anyone still waits, and is aborted
 * when the last one has left.
 */
export interface SharedWork<T> {
  run(key: string, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T>;
}

interface Running<T> {
  readonly result: Promise<T>;
  readonly stop: AbortController;
  waiting: number;
  settled: boolean;
}

export function createSharedWork<T>(): SharedWork<T> {
  const running = new Map<string, Running<T>>();

  const begin = (key: string, work: (signal: AbortSignal) => Promise<T>): Running<T> => {
    const stop = new AbortController();
    const entry: Running<T> = { result: work(stop.signal), stop, waiting: 0, settled: false };
    running.set(key, entry);
    const forget = (): void => {
      entry.settled = true;
      if (running.get(key) === entry) running.delete(key);
    };
    entry.result.then(forget, forget);
    return entry;
  };

  return {
    async run(key, work, signal) {
      const entry = running.get(key) ?? begin(key, work);
      entry.waiting++;
      try {
        return await abortable(entry.result, signal);
      } finally {
        if (--entry.waiting === 0) {
          // A caller that comes now starts afresh instead of joining what is being given up.
          if (running.get(key) === entry) running.delete(key);
          if (!entry.settled) entry.stop.abort();
        }
      }
    },
  };
}
