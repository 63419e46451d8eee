import { abortable } from '../core/abort.ts';
import { deferred } from '../core/deferred.ts';

/** One task at a time per key, in the order of the calls. */
export class KeyedMutex {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs `work` once those before it have settled; an abort while waiting gives up the turn. */
  run<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.runAll([key], work, signal);
  }

  /**
   * Runs `work` once those before it at any of its keys have settled; an abort while waiting gives up the turn. It
   * queues at all keys in one step, so who waits waits only for earlier calls, and nobody for each other.
   */
  async runAll<T>(keys: readonly string[], work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const mine = deferred();
    const before: Promise<void>[] = [];
    for (const key of new Set(keys)) {
      const ahead = this.#tails.get(key);
      if (ahead !== undefined) before.push(ahead);
      const tail = ahead === undefined ? mine.promise : ahead.then(() => mine.promise);
      this.#tails.set(key, tail);
      void tail.then(() => {
        if (this.#tails.get(key) === tail) this.#tails.delete(key);
      });
    }
    try {
      if (before.length > 0) await abortable(Promise.all(before), signal);
      return await work();
    } finally {
      mine.resolve();
    }
  }
}
