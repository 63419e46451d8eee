/** When one of several at the same kind of work is late. Times in milliseconds. */
export interface StragglerPolicy {
  /** Nobody is late sooner. */
  readonly floorMs: number;
  /** … nor before this many times what the slowest of those took that are done. */
  readonly factor: number;
  /** … nor before this share of the others (0 to 1) is done: when everybody is slow, it is not the one. */
  readonly quorum: number;
  /** Late after so long while too few are done to compare with. Without it, waited for until they are. */
  readonly aloneMs?: number | undefined;
  /** Late after so long whatever the others took: one that took an hour, as over a suspend, must not set the measure. */
  readonly atMostMs?: number | undefined;
}

/** How far those are that do the same kind of work, the one that is asked about among them. */
export interface Field {
  readonly done: number;
  readonly running: number;
  /** What the slowest of those took that are done; 0 while none is. */
  readonly slowestMs: number;
}

/**
 * After how long one that is still running is late, in milliseconds; `Infinity`: not yet.
 * @param p95Ms what it takes when it is as slow as it usually is, where that is known: never late before `factor`
 * times that.
 */
export function lateAfterMs(policy: StragglerPolicy, field: Field, p95Ms = 0): number {
  const { floorMs, factor, quorum } = policy;
  const { aloneMs = Number.POSITIVE_INFINITY, atMostMs = Number.POSITIVE_INFINITY } = policy;
  const others = field.done + field.running - 1;
  const comparable = field.done > 0 && field.done >= quorum * others;
  const base = comparable ? Math.min(atMostMs, Math.max(floorMs, factor * field.slowestMs)) : aloneMs;
  return Math.max(base, factor * p95Ms);
}
