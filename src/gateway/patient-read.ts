import type { ByteRange } from '../http/message/range.ts';
import type { MemoryGate } from './memory-gate.ts';

/** Bytes of a window. Each piece is valid only until the next is asked for. */
type OpenWindow = (range: ByteRange) => AsyncIterable<Uint8Array>;

export interface PatientReadOptions {
  readonly gate: MemoryGate;
  /** The most memory that reading a window holds. */
  readonly memoryFor: (range: ByteRange) => number;
  readonly open: OpenWindow;
  readonly signal: AbortSignal;
}

/** What a socket is given at once, and what it may keep after the source's memory has gone. */
const PIECE_BYTES = 64 * 1024;
/** Before the first byte a client can be told to come back; later it can only be kept waiting, or be cut off. */
const FIRST_WAIT_MS = 10_000;
const LATER_WAIT_MS = 30_000;

/**
 * Reads a window for a client that may be slow: while it does not come for the next piece and others need the memory,
 * the read under way is given up, and goes on from where it was once the client is back.
 */
export async function* patientRead(
  range: ByteRange,
  { gate, memoryFor, open, signal }: PatientReadOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  let at = range.start;
  while (at < range.end) {
    const rest = { start: at, end: range.end };
    const waitMs = at === range.start ? FIRST_WAIT_MS : LATER_WAIT_MS;
    const permit = await gate.enter(memoryFor(rest), waitMs, signal);
    const pieces = open(rest)[Symbol.asyncIterator]();
    const state: { parked: Promise<void> | undefined } = { parked: undefined };
    const stop = async (): Promise<void> => {
      try {
        await pieces.return?.();
      } finally {
        permit.release();
      }
    };
    const park = (): void => {
      state.parked = stop();
      state.parked.catch(() => {});
    };
    try {
      while (state.parked === undefined) {
        const step = await pieces.next();
        if (step.done) break;
        for (let from = 0; from < step.value.length && !state.parked; from += PIECE_BYTES) {
          const copy = step.value.slice(from, from + PIECE_BYTES);
          at += copy.length;
          permit.idle(park);
          yield copy;
          permit.busy();
        }
      }
      if (state.parked === undefined && at < range.end) throw new Error('the source ended before its length');
    } finally {
      permit.busy();
      await (state.parked ?? stop());
    }
  }
}
