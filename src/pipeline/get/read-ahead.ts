import { linkedAbort } from '../../core/abort.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { DamageLog } from '../../object/damage.ts';
import type { PlainRange } from '../../object/manifest-tree.ts';
import {
  type OpenedManifest,
  type ReadableSegment,
  readableSegments,
} from '../../object/readable-segments.ts';
import type { TransferContext } from '../context.ts';
import { ObjectReadState } from './read-state.ts';
import { type PlainChunk, type ReadWindow, readWindow } from './window-read.ts';

/** Windows in memory: one being consumed, two being fetched. */
const DEPTH = 3;

/** The chunks over a part of an object, in order. Leaving early cancels and releases the rest. */
export async function* readChunks(
  context: TransferContext,
  opened: OpenedManifest,
  range: PlainRange,
  damage: DamageLog,
  signal: AbortSignal | undefined,
): AsyncGenerator<PlainChunk> {
  const stop = linkedAbort(signal, 'get');
  const state = new ObjectReadState(context, opened, damage, stop.signal);
  const ahead = new ReadAhead(state, allWindows(state, range));
  try {
    for (let chunk = await ahead.next(); chunk !== undefined; chunk = await ahead.next()) {
      try {
        yield chunk;
      } finally {
        chunk.release();
      }
    }
  } finally {
    stop.dispose();
    stop.abort(new HoldfastError('Aborted', 'the reader went away', { operation: 'get' }));
    await ahead.close();
  }
}

/** Parts of the arena that a window takes: little at first, so that the first byte comes soon, then more for fewer requests. */
const FIRST_WINDOW = 1 / 32;
const MAX_WINDOW = 1 / 8;

/** All shards of a chunk, the parity too, over its own length; rounded up. */
const EXPANSION = 2;
/** Shards of the shortest chunks are rounded up to whole pages and rows. */
const FLOOR_BYTES = 256 * 1024;

/** The most memory that reading `length` bytes holds in an arena of `capacity`. */
export function readMemory(length: number, chunkLen: number, capacity: number): number {
  const windows = DEPTH * Math.max(MAX_WINDOW * capacity, EXPANSION * chunkLen);
  const touched = EXPANSION * (length + 2 * chunkLen);
  return FLOOR_BYTES + Math.min(windows, touched);
}

async function* allWindows(state: ObjectReadState, { start, end }: PlainRange): AsyncGenerator<ReadWindow> {
  const { context, opened, damage, signal } = state;
  const touched = { start, end: Math.max(end, start + 1) };
  let share = FIRST_WINDOW;
  const nextBytes = (): number => {
    const bytes = share * context.arena.capacity;
    share = Math.min(2 * share, MAX_WINDOW);
    return bytes;
  };
  for await (const segment of readableSegments(context, opened, touched, damage, signal)) {
    yield* windowsOf(segment, start, end, nextBytes);
  }
}

/** Cuts the part of a segment that overlaps `[start, end)` into windows, each of about as much memory as asked for it. */
function* windowsOf(
  segment: ReadableSegment,
  start: number,
  end: number,
  nextBytes: () => number,
): Generator<ReadWindow> {
  let chunks: number[] = [];
  let plainStarts: number[] = [];
  let gathered = 0;
  let at = segment.plainStart;
  let bytes = nextBytes();
  for (const [chunk, length] of segment.secrets.plainLens.entries()) {
    const memory = Math.max(length, segment.view.record.chunkLens[chunk]!);
    const wanted = (at < end && at + length > start) || (length === 0 && start === end);
    if (wanted && gathered > 0 && gathered + memory > bytes) {
      yield { segment, chunks, plainStarts };
      [chunks, plainStarts, gathered] = [[], [], 0];
      bytes = nextBytes();
    }
    if (wanted) {
      chunks.push(chunk);
      plainStarts.push(at);
      gathered += memory;
    }
    at += length;
  }
  if (chunks.length > 0) yield { segment, chunks, plainStarts };
}

interface WindowAhead {
  /** What of the window has not been handed out. */
  window: ReadWindow;
  reading: Promise<PlainChunk[]> | undefined;
  chunks: PlainChunk[];
}

/**
 * A read's chunks in order, the next window fetched while one is consumed. What nobody is waiting for is given up as
 * soon as others lack memory, and fetched again when its turn comes: so a consumer that pauses stops no one.
 */
class ReadAhead {
  readonly #state: ObjectReadState;
  readonly #windows: AsyncIterator<ReadWindow>;
  readonly #entries: WindowAhead[] = [];
  readonly #unsubscribe: () => void;
  #ended = false;
  #asked = false;

  constructor(state: ObjectReadState, windows: AsyncIterator<ReadWindow>) {
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

  #read(entry: WindowAhead): Promise<PlainChunk[]> {
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

function drop(entry: WindowAhead): void {
  for (const chunk of entry.chunks.splice(0)) chunk.release();
}

const withoutFirst = ({ segment, chunks, plainStarts }: ReadWindow): ReadWindow => ({
  segment,
  chunks: chunks.slice(1),
  plainStarts: plainStarts.slice(1),
});
