import { type AbortOptions, throwIfAborted } from '../../core/abort.ts';

interface AtOnceOptions<T> extends AbortOptions {
  /** What the items that are worked on may weigh together. */
  readonly capacity: number;
  /** One that weighs more than there is room for has all of it. */
  readonly weight: (item: T) => number;
}

/**
 * Segments that are worked on at once: of two with many chunks one is read while what was rebuilt of the other is stored and
 * recorded.
 * @param chunks that are read and rebuilt at once, see {@link Room}.
 */
export const segmentsAtOnce = (
  chunks: number,
): Pick<AtOnceOptions<{ readonly chunks: number }>, 'capacity' | 'weight'> => ({
  capacity: 2 * chunks,
  weight: (segment) => Math.min(segment.chunks, chunks),
});

/**
 * Works on items as they come, as many at once as there is room for. An error lets those that are begun end, and nothing
 * more begin.
 * @throws what the work throws first; `Aborted`.
 */
export async function atOnce<T>(
  items: AsyncIterable<T>,
  { capacity, weight, signal }: AtOnceOptions<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const room = new Room(capacity);
  const working = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  try {
    for await (const item of items) {
      throwIfAborted(signal, 'repair');
      if (failure !== undefined) break;
      const its = Math.min(weight(item), capacity);
      await room.take(its);
      const one = work(item)
        .catch((error: unknown) => {
          failure ??= { error };
        })
        .finally(() => {
          room.give(its);
          working.delete(one);
        });
      working.add(one);
    }
  } finally {
    await Promise.all(working);
  }
  throwIfAborted(signal, 'repair');
  if (failure !== undefined) throw failure.error;
}

/** So much at once, first come, first served. Who has some gives it back, whatever happens. */
export class Room {
  readonly capacity: number;
  #free: number;
  readonly #waiting: { readonly count: number; readonly go: () => void }[] = [];

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#free = capacity;
  }

  /** @param count no more than the capacity. */
  take(count: number): Promise<void> {
    return new Promise((go) => {
      this.#waiting.push({ count, go });
      this.#serve();
    });
  }

  give(count: number): void {
    this.#free += count;
    this.#serve();
  }

  #serve(): void {
    while (this.#waiting[0] !== undefined && this.#waiting[0].count <= this.#free) {
      const { count, go } = this.#waiting.shift()!;
      this.#free -= count;
      go();
    }
  }
}
