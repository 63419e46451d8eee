import { abortable } from '../core/abort.ts';
import { deferred } from '../core/deferred.ts';

/** One task at a time per key, in the order of the calls. */
export class KeyedMutex {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs `work` once those before it have settled; an abort while waiting gives up the turn. */
  async run<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#tails.get(key);
    const mine = deferred();
    const tail = before === undefined ? mine.promise : before.then(() => mine.promise);
    this.#tails.set(key, tail);
    void tail.then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
    try {
      if (before !== undefined) await abortable(before, signal);
      return await work();
    } finally {
      mine.resolve();
    }
  }
}
