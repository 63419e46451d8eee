import type { OpenRoot } from '../../manifest/root.ts';
import type { ReadableSegment } from '../../object/readable-segments.ts';

/** Consecutive chunks of one segment that are fetched together, a range per pack. */
export interface Window {
  readonly segment: ReadableSegment;
  /** Indices within the segment. */
  readonly chunks: readonly number[];
  /** Offset of each chunk's plaintext in the object. */
  readonly plainStarts: readonly number[];
}

/** Cuts the part of a segment that overlaps `[start, end)` into windows, each of about as much memory as asked for it. */
export function* windowsOf(
  segment: ReadableSegment,
  start: number,
  end: number,
  nextBytes: () => number,
): Generator<Window> {
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

/** Whether a chunk is the object's last: its encryption says so. */
export const isLast = (root: OpenRoot, segment: ReadableSegment, chunk: number): boolean =>
  segment.view.record.firstChunk + chunk === root.record.chunks - 1;
