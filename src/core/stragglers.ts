import { linkedAbort } from './abort.ts';
import type { Clock } from './clock.ts';
import { HoldfastError } from './errors.ts';

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

/** Who is there and stands still is asked again this often. */
const ASK_EVERY_MS = 5_000;

/** One part of the work, as the watch sees it. */
export interface Part {
  /** Default: the watch's own. Asked for each time the part is looked at. */
  readonly policy?: (() => StragglerPolicy) | undefined;
  /** What it takes when it is as slow as it usually is, where that is known. */
  readonly p95Ms?: (() => number | undefined) | undefined;
  /**
   * Called when the part is late. It may answer after how many milliseconds at the latest to call it again, and is then
   * called also whenever another part got on. Without an answer the part counts as late for good.
   */
  readonly onLate: (elapsedMs: number) => number | undefined;
}

export interface WatchedPart {
  readonly late: boolean;
  /** Milliseconds since it began or last got on. */
  elapsedMs(): number;
  /** A piece of its work was done, which took so many milliseconds. */
  progressed(ms: number): void;
  /** Its work is over. Must be called. @param counts whether others are measured by it. Default: if it got on. */
  end(counts?: boolean): void;
}

/** A provider's part of work that may be left undone there. */
export interface Turn extends Pick<WatchedPart, 'late' | 'progressed' | 'end'> {
  /** Fires when it is given up on, with an `Aborted`, code `lost_race`. */
  readonly signal: AbortSignal;
}

interface Running {
  readonly part: Part;
  sinceMs: number;
  progressed: boolean;
  late: boolean;
}

/**
 * Watches parts of one piece of work that are under way at once, and finds those that fall behind the others. There is one
 * timer, for the first moment at which a part can be late. Call `close` in the end.
 */
export class Stragglers {
  readonly #clock: Clock;
  readonly #policy: StragglerPolicy;
  readonly #parts: number;
  readonly #running = new Set<Running>();
  /** Of those that run, how many got on. */
  #gotOn = 0;
  /** Parts that ended and that others are measured by. */
  #done = 0;
  #slowestMs = 0;
  #timerMs = Number.POSITIVE_INFINITY;
  #cancelTimer = (): void => {};
  /** A part has had the least time it is given: any change may now make it late. */
  #isOverdue = false;
  #isLooking = false;
  #isClosed = false;

  /** @param parts how many there will be in all, where they do not all begin at once. */
  constructor(clock: Clock, policy: StragglerPolicy, parts = 0) {
    this.#clock = clock;
    this.#policy = policy;
    this.#parts = parts;
  }

  /** Watches a part from now on. */
  watch(part: Part): WatchedPart {
    const running: Running = { part, sinceMs: this.#clock.monotonic(), progressed: false, late: false };
    this.#running.add(running);
    this.#lookAt(this.#earliestMs(running));
    return {
      get late() {
        return running.late;
      },
      elapsedMs: () => this.#clock.monotonic() - running.sinceMs,
      progressed: (ms) => {
        if (!running.progressed) this.#gotOn++;
        running.sinceMs = this.#clock.monotonic();
        running.progressed = true;
        this.#slowestMs = Math.max(this.#slowestMs, ms);
        this.changed();
      },
      end: (counts = running.progressed) => {
        if (!this.#running.delete(running)) return;
        if (running.progressed) this.#gotOn--;
        if (counts) this.#done++;
        this.changed();
      },
    };
  }

  /**
   * Watches a provider's part, which is given up on when it is late.
   * @param onLate called once, when it is given up on.
   * @param isThere asked before that: while it says so, the provider is slow and not silent, and is waited for.
   */
  begin(
    outer: AbortSignal | undefined,
    operation: string,
    onLate?: () => void,
    isThere?: (signal: AbortSignal) => Promise<boolean>,
  ): Turn {
    const clock = this.#clock;
    const stop = linkedAbort(outer, operation);
    let askedMs = Number.NEGATIVE_INFINITY;
    let isSilent = false;
    const ask = async (isThere: (signal: AbortSignal) => Promise<boolean>): Promise<void> => {
      const there = await isThere(stop.signal).catch(() => true);
      const gotOnSince = clock.monotonic() - part.elapsedMs() >= askedMs;
      isSilent = !there && !gotOnSince;
      if (isSilent) this.changed();
    };
    const part = this.watch({
      onLate: () => {
        if (isThere === undefined || isSilent) {
          stop.abort(standsStill());
          onLate?.();
          return undefined;
        }
        const now = clock.monotonic();
        if (now - askedMs < ASK_EVERY_MS) return askedMs + ASK_EVERY_MS - now;
        askedMs = now;
        void ask(isThere);
        return ASK_EVERY_MS;
      },
    });
    return {
      signal: stop.signal,
      get late() {
        return part.late;
      },
      progressed: part.progressed,
      end: () => {
        part.end();
        stop.dispose();
      },
    };
  }

  /** After how long a part is late by a policy, as the others are now; `Infinity`: not yet. */
  lateAfterMs(policy: StragglerPolicy, p95Ms?: number, progressed = false): number {
    const done = this.#done + this.#gotOn - Number(progressed);
    const all = Math.max(this.#parts, this.#done + this.#running.size);
    return lateAfterMs(policy, { done, running: all - done, slowestMs: this.#slowestMs }, p95Ms);
  }

  /** Something else changed by which `onLate` decides. */
  changed(): void {
    if (this.#isOverdue) this.#look();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelTimer();
  }

  /** Nothing is reckoned before this moment, for nobody is late sooner. */
  #earliestMs({ part, sinceMs }: Running): number {
    const { floorMs, aloneMs = floorMs } = part.policy?.() ?? this.#policy;
    return sinceMs + Math.min(floorMs, aloneMs);
  }

  #lookAt(atMs: number): void {
    if (this.#isClosed || atMs >= this.#timerMs) return;
    this.#cancelTimer();
    this.#timerMs = atMs;
    const waitMs = Math.max(0, atMs - this.#clock.monotonic());
    this.#cancelTimer = this.#clock.timer(waitMs, () => {
      this.#timerMs = Number.POSITIVE_INFINITY;
      this.#look();
    });
  }

  #look(): void {
    // What is done about one that is late may end another.
    if (this.#isLooking || this.#isClosed) return;
    this.#isLooking = true;
    this.#isOverdue = false;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const running of this.#running) nextMs = Math.min(nextMs, this.#judge(running));
    this.#isLooking = false;
    this.#lookAt(nextMs);
  }

  /** @returns the latest moment to look at it again. */
  #judge(running: Running): number {
    const { part, sinceMs, progressed } = running;
    if (running.late) return Number.POSITIVE_INFINITY;
    const now = this.#clock.monotonic();
    const earliestMs = this.#earliestMs(running);
    if (now < earliestMs) return earliestMs;
    this.#isOverdue = true;
    const lateMs = sinceMs + this.lateAfterMs(part.policy?.() ?? this.#policy, part.p95Ms?.(), progressed);
    if (now < lateMs) return lateMs;
    const againMs = part.onLate(now - sinceMs);
    running.late = againMs === undefined;
    return now + (againMs ?? Number.POSITIVE_INFINITY);
  }
}

const standsStill = (): HoldfastError =>
  new HoldfastError('Aborted', 'it stands still while others get on', { code: 'lost_race' });
