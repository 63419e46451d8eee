import { abortable, throwIfAborted } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { engineClosed } from '../check.ts';
import type { BatchOp } from '../engine.ts';
import { type Database, openDatabase, takeWaiting } from './connection.ts';
import { levelFailure } from './failure.ts';

export interface LeaseOptions {
  readonly location: string;
  readonly clock: Clock;
  /** Longest wait for another process's lock. */
  readonly lockWaitMs: number;
  /** Written, flushed, before anything else when the database lacks writes that others follow, as damage to its log leaves it. */
  readonly ifIncomplete?: BatchOp | undefined;
  /** True: whoever moves the records opens it. */
  readonly moving?: boolean | undefined;
  /** The database is released after this long without an operation. */
  readonly idleReleaseMs: number;
}

interface Opening {
  readonly promise: Promise<void>;
  readonly abort: AbortController;
  waiting: number;
}

/** How often a busy holder looks whether another process is waiting. */
const WAITER_CHECK_MS = 100;
/** How long it stays away then: longer than a waiter's longest pause between two attempts. */
const MAKE_ROOM_MS = 60;

/**
 * Opens the database when an operation needs it and releases it soon after, because LevelDB lets in one process at
 * a time. An operation never spans a release, so what it reads and writes is one atomic step between processes.
 */
export class DatabaseLease {
  readonly #options: LeaseOptions;
  readonly #stop = new AbortController();
  #database: Database | undefined;
  #opening: Opening | undefined;
  #releasing: Promise<void> | undefined;
  #inFlight = 0;
  #drained: (() => void) | undefined;
  #lastUse = 0;
  #lastWaiterCheck = 0;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  /** Runs `work`, which must be short: another process may be waiting. Failures come out typed. */
  async use<T>(work: (database: Database) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const database = await this.#acquire(signal);
    try {
      throwIfAborted(signal);
      return await work(database);
    } catch (error) {
      const failure = levelFailure(error, this.#options.location);
      // After a failed write LevelDB may refuse all others, and a torn record hides those behind it in its log.
      // Opening it anew recovers from both.
      if (failure !== error) void this.#release(0);
      throw failure;
    } finally {
      this.#inFlight--;
      this.#lastUse = this.#options.clock.monotonic();
      if (this.#inFlight === 0) this.#drained?.();
    }
  }

  /** Closes the database until it is needed again. */
  release(): Promise<void> {
    return this.#release(0);
  }

  async close(): Promise<void> {
    this.#stop.abort(engineClosed());
    await this.#opening?.promise.catch(() => {});
    await this.#releasing;
    await this.#release(0);
  }

  async #acquire(signal: AbortSignal | undefined): Promise<Database> {
    for (;;) {
      if (this.#stop.signal.aborted) throw engineClosed();
      if (this.#releasing !== undefined) await abortable(this.#releasing, signal);
      else if (this.#database === undefined) await this.#open(signal);
      else {
        this.#inFlight++;
        this.#makeRoomIfAsked();
        return this.#database;
      }
    }
  }

  /** All callers share one opening; it is given up when the last of them has gone. */
  async #open(signal: AbortSignal | undefined): Promise<void> {
    this.#opening ??= this.#startOpening();
    const opening = this.#opening;
    opening.waiting++;
    try {
      await abortable(opening.promise, signal);
    } catch (error) {
      const othersGaveUp = opening.abort.signal.aborted && !signal?.aborted && !this.#stop.signal.aborted;
      if (!othersGaveUp) throw error;
    } finally {
      opening.waiting--;
      if (opening.waiting === 0) opening.abort.abort();
    }
  }

  #startOpening(): Opening {
    const { location, clock, lockWaitMs, ifIncomplete, moving } = this.#options;
    const abort = new AbortController();
    const signal = AbortSignal.any([abort.signal, this.#stop.signal]);
    const promise = openDatabase({ location, clock, lockWaitMs, ifIncomplete, moving, signal })
      .then((database) => {
        this.#database = database;
        this.#lastUse = clock.monotonic();
        this.#lastWaiterCheck = this.#lastUse;
        void this.#releaseWhenIdle(database);
      })
      .finally(() => {
        this.#opening = undefined;
      });
    return { promise, waiting: 0, abort };
  }

  async #releaseWhenIdle(database: Database): Promise<void> {
    const { clock, idleReleaseMs } = this.#options;
    let wait = idleReleaseMs;
    do {
      try {
        await clock.sleep(Math.max(wait, 1), this.#stop.signal);
      } catch {
        return;
      }
      if (this.#database !== database || this.#releasing !== undefined) return;
      wait = this.#lastUse + idleReleaseMs - clock.monotonic();
    } while (wait > 0 || this.#inFlight > 0);
    void this.#release(0);
  }

  /** Looks in the background, so that the operation at hand does not wait for it. */
  #makeRoomIfAsked(): void {
    const { clock, location } = this.#options;
    const now = clock.monotonic();
    if (now - this.#lastWaiterCheck < WAITER_CHECK_MS) return;
    this.#lastWaiterCheck = now;
    void takeWaiting(location).then((waiting) => {
      if (waiting) void this.#release(MAKE_ROOM_MS);
    });
  }

  #release(stayAwayMs: number): Promise<void> {
    this.#releasing ??= this.#drainAndClose(stayAwayMs).finally(() => {
      this.#releasing = undefined;
    });
    return this.#releasing;
  }

  async #drainAndClose(stayAwayMs: number): Promise<void> {
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
      this.#drained = undefined;
    }
    const database = this.#database;
    this.#database = undefined;
    await database?.close().catch(() => {});
    if (stayAwayMs > 0) await this.#options.clock.sleep(stayAwayMs, this.#stop.signal).catch(() => {});
  }
}
