import type { Clock } from '../core/clock.ts';

/** Who was late is asked last for so long, unless it is heard of before. */
const REMEMBERED_MS = 30_000;
/** Who let others answer by less may have been held up for a moment: no reason to put off what can wait. */
const SILENT_MS = 400;

/** Which providers let others answer long before them, as far as one process saw lately. */
export interface Punctuality {
  /**
   * It was asked and gave no answer while others did.
   * @param afterMs how long it had had.
   */
  late(id: string, afterMs?: number): void;
  /** It answered, if only that it has nothing. */
  heard(id: string): void;
  /** Others are better asked first. */
  isLate(id: string): boolean;
  /** It was late by more than a moment. */
  isSilent(id: string): boolean;
  /** Whether any was late since then, by the monotonic clock. */
  lateSince(ms: number): boolean;
}

export function createPunctuality(clock: Clock): Punctuality {
  const lateness = new Map<string, { readonly atMs: number; readonly afterMs: number }>();
  /** For how long it had been asked when it was last late; undefined when that is past. */
  const afterMs = (id: string): number | undefined => {
    const last = lateness.get(id);
    return last !== undefined && clock.monotonic() - last.atMs < REMEMBERED_MS ? last.afterMs : undefined;
  };
  return {
    late(id, after = Number.POSITIVE_INFINITY) {
      lateness.set(id, { atMs: clock.monotonic(), afterMs: Math.max(after, afterMs(id) ?? 0) });
    },
    heard: (id) => void lateness.delete(id),
    isLate: (id) => afterMs(id) !== undefined,
    isSilent: (id) => (afterMs(id) ?? 0) >= SILENT_MS,
    lateSince: (ms) => [...lateness.values()].some(({ atMs }) => atMs > ms),
  };
}
