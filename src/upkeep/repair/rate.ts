import { type AbortOptions, throwIfAborted } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { asHoldfastError, type HoldfastError, isHoldfastError } from '../../core/errors.ts';
import { KeyedMutex } from '../../engine/keyed-mutex.ts';
import { type CountContext, changeCount } from './shared-count.ts';

/** What was not used of a rate in this time may be used later at once: so that in no five seconds it is 5 % more. */
const BURST_MS = 200;
/** The same of the rate that workers share, for each of them. */
const SHARED_BURST_MS = 80;

/** Bytes a second, of this process: a token bucket. By the monotonic clock. */
export class OwnRate {
  readonly #clock: Clock;
  readonly #bytesPerMs: number;
  /** When all that was taken is paid for. */
  #paidMs: number;

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#paidMs = clock.monotonic();
  }

  /** Resolves once so many bytes may be moved. In the order of the calls. @throws HoldfastError `Aborted`. */
  async take(bytes: number, { signal }: AbortOptions): Promise<void> {
    throwIfAborted(signal, 'repair');
    const costMs = bytes / this.#bytesPerMs;
    const now = this.#clock.monotonic();
    this.#paidMs = Math.max(this.#paidMs, now - BURST_MS) + costMs;
    try {
      await waitUntil(this.#clock, this.#paidMs, signal);
    } catch (error) {
      this.#paidMs -= costMs;
      throw error;
    }
  }
}

const PACE_TABLE = 'repair_pace';
const CLUSTER = { table: PACE_TABLE, key: 'cluster' };
/** The count begins anew there. */
const WRAP = 2 ** 50;
/** A worker takes what may be moved in this time at once, so that not every shard is a write; what it does not use as fast is lost. */
const SLICE_MS = 125;
/** … and no more than for this time, so that others get their turn. */
const LONGEST_SLICE_MS = 1_000;
/** What others took keeps nobody waiting for longer, whatever the count says. */
const LONGEST_DEBT_MS = 60_000;
/** How long a count that failed is held against the engine, unless another succeeds. */
const FAILURE_MS = 10_000;

/**
 * Bytes a second, of all workers that share an engine. They share a count of what was ever taken, and each holds it
 * to the rate by its own monotonic clock: what clocks on the wall show does not matter. A worker that has just started
 * knows of no debts and has nothing in hand.
 */
export class SharedRate {
  readonly #context: CountContext;
  readonly #bytesPerMs: number;
  readonly #turns = new KeyedMutex();
  /** Taken and paid for, and not used yet. */
  #inHand = 0;
  #grantedMs = Number.NEGATIVE_INFINITY;
  #seen: number | undefined;
  #paidMs = 0;
  #failure: { readonly error: HoldfastError; readonly atMs: number } | undefined;

  constructor(context: CountContext, bytesPerSecond: number) {
    this.#context = context;
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  /** As {@link OwnRate.take}. @throws HoldfastError `Aborted`; `Conflict` (`pace_contended`); what the engine throws. */
  take(bytes: number, options: AbortOptions): Promise<void> {
    return this.#turns.run(CLUSTER.key, () => this.#take(bytes, options), options.signal);
  }

  /** As {@link RepairPace.check}. */
  async check(options: AbortOptions): Promise<void> {
    const { clock, engine } = this.#context;
    if (this.#failure !== undefined && clock.monotonic() - this.#failure.atMs < FAILURE_MS)
      throw this.#failure.error;
    await engine
      .table(CLUSTER.table)
      .get(CLUSTER.key, options)
      .catch((error: unknown) => {
        // It is written over by whoever counts next.
        if (!isHoldfastError(error, 'Corrupt')) throw error;
      });
  }

  async #take(bytes: number, options: AbortOptions): Promise<void> {
    let left = bytes;
    if (!this.#isFresh) this.#inHand = 0;
    try {
      for (;;) {
        const used = Math.min(left, this.#inHand);
        this.#inHand -= used;
        left -= used;
        if (left === 0) return;
        const slice = Math.max(this.#isFresh ? SLICE_MS * this.#bytesPerMs : 0, left);
        await this.#takeSlice(Math.ceil(Math.min(slice, LONGEST_SLICE_MS * this.#bytesPerMs)), options);
      }
    } catch (error) {
      this.#inHand = Math.min(SLICE_MS * this.#bytesPerMs, this.#inHand + bytes - left);
      throw error;
    }
  }

  /** What was taken last was so a moment ago: more is used up as fast. */
  get #isFresh(): boolean {
    return this.#context.clock.monotonic() - this.#grantedMs <= SLICE_MS;
  }

  async #takeSlice(bytes: number, options: AbortOptions): Promise<void> {
    const before = await this.#count(bytes, options);
    const now = this.#context.clock.monotonic();
    const debt = this.#seen === undefined ? now : this.#paidMs + this.#byOthers(before) / this.#bytesPerMs;
    this.#seen = (before + bytes) % WRAP;
    const [earliest, latest] = [now - SHARED_BURST_MS, now + LONGEST_DEBT_MS];
    this.#paidMs = Math.min(Math.max(debt, earliest), latest) + bytes / this.#bytesPerMs;
    await waitUntil(this.#context.clock, this.#paidMs, options.signal);
    this.#inHand += bytes;
    this.#grantedMs = this.#context.clock.monotonic();
  }

  async #count(bytes: number, options: AbortOptions): Promise<number> {
    try {
      const before = await changeCount(this.#context, CLUSTER, (count) => (count + bytes) % WRAP, options);
      this.#failure = undefined;
      return before;
    } catch (thrown) {
      const error = asHoldfastError(thrown);
      if (error.kind !== 'Aborted') this.#failure = { error, atMs: this.#context.clock.monotonic() };
      throw error;
    }
  }

  /** A count that has gone back was lost, and tells nothing. */
  #byOthers(count: number): number {
    const more = (count - this.#seen! + WRAP) % WRAP;
    return more < WRAP / 2 ? more : 0;
  }
}

async function waitUntil(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  for (let left = ms - clock.monotonic(); left > 0; left = ms - clock.monotonic()) {
    // A timer may come a little early.
    await clock.sleep(Math.max(1, Math.min(left, LONGEST_SLEEP_MS)), signal);
  }
}

/** Node's timers end at once beyond 24 days. */
const LONGEST_SLEEP_MS = 86_400_000;
