import type { ReadState } from './read-state.ts';
import type { Window } from './window.ts';
import { type PlainChunk, readWindow } from './window-read.ts';

/** Windows in memory: one being consumed, two being fetched. */
export const DEPTH = 3;

interface Entry {
  /** What of the window has not been handed out. */
  window: Window;
  reading: Promise<PlainChunk[]> | undefined;
  chunks: PlainChunk[];
}

/**
 * A read's chunks in order, the next window fetched while one is consumed. What nobody is waiting for is given up as
 * soon as others lack memory, and fetched again when its turn comes: so a consumer that pauses stops no one.
 */
export class ReadAhead {
  readonly #state: ReadState;
  readonly #windows: AsyncIterator<Window>;
  readonly #entries: Entry[] = [];
  readonly #unsubscribe: () => void;
  #ended = false;
  #asked = false;

  constructor(state: ReadState, windows: AsyncIterator<Window>) {
    this.#state = state;
    this.#windows = windows;
    this.#unsubscribe = state.context.arena.onShort(() => this.#relieve());
  }

  /** The next chunk, the caller's to release; undefined at the end. */
  async next(): Promise<PlainChunk | undefined> {
    this.#asked = true;
    try {
      for (;;) {
        await this.#fill();
        const first = this.#entries[0];
        if (first === undefined) return undefined;
        const chunk = (await this.#read(first)).shift();
        if (chunk === undefined) this.#entries.shift();
        else {
          first.window = withoutFirst(first.window);
          return chunk;
        }
      }
    } finally {
      this.#asked = false;
      if (this.#state.context.arena.isShort) this.#relieve();
    }
  }

  /** Gives everything back once nothing works on it any more. The read's signal must have fired. */
  async close(): Promise<void> {
    this.#unsubscribe();
    await Promise.allSettled(this.#entries.map(({ reading }) => reading));
    for (const entry of this.#entries) drop(entry);
  }

  async #fill(): Promise<void> {
    while (!this.#ended && this.#entries.length < DEPTH) {
      const next = await this.#windows.next();
      if (next.done) this.#ended = true;
      else this.#entries.push({ window: next.value, reading: undefined, chunks: [] });
    }
    for (const entry of this.#entries) {
      if (entry === this.#entries[0] || !this.#state.context.arena.isShort) void this.#read(entry);
    }
  }

  #read(entry: Entry): Promise<PlainChunk[]> {
    if (entry.reading !== undefined) return entry.reading;
    entry.reading = readWindow(this.#state, entry.window).then((chunks) => {
      entry.chunks = chunks;
      if (this.#state.context.arena.isShort) this.#relieve();
      return entry.chunks;
    });
    // Seen when its turn comes; until then a rejection must not count as unhandled.
    entry.reading.catch(() => {});
    return entry.reading;
  }

  #relieve(): void {
    for (const [i, entry] of this.#entries.entries()) {
      const isAwaited = this.#asked && i === 0;
      if (isAwaited || entry.chunks.length === 0) continue;
      drop(entry);
      entry.reading = undefined;
    }
  }
}

function drop(entry: Entry): void {
  for (const chunk of entry.chunks.splice(0)) chunk.release();
}

const withoutFirst = ({ segment, chunks, plainStarts }: Window): Window => ({
  segment,
  chunks: chunks.slice(1),
  plainStarts: plainStarts.slice(1),
});
