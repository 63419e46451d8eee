import type { Clock } from '../core/clock.ts';

/** Who was late is asked last for so long, unless it is heard of before. */
const REMEMBERED_MS = 30_000;

/** Which providers let others answer long before them, as far as one process saw lately. */
export interface Punctuality {
  /** It was asked and gave no answer while others did. */
  late(id: string): void;
  /** It answered, if only that it has nothing. */
  heard(id: string): void;
  isLate(id: string): boolean;
  /** Whether any was late since then, by the monotonic clock. */
  lateSince(ms: number): boolean;
}

export function createPunctuality(clock: Clock): Punctuality {
  const lateAt = new Map<string, number>();
  return {
    late: (id) => void lateAt.set(id, clock.monotonic()),
    heard: (id) => void lateAt.delete(id),
    lateSince: (ms) => [...lateAt.values()].some((at) => at > ms),
    isLate: (id) => clock.monotonic() - (lateAt.get(id) ?? Number.NEGATIVE_INFINITY) < REMEMBERED_MS,
  };
}
