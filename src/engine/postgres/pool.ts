import { abortable } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { type Deferred, deferred } from '../../core/deferred.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import { engineClosed } from '../check.ts';
import { isCollision, isLasting, postgresFailure } from './failure.ts';
import { migrateSchema } from './schema.ts';
import { isError, openSession, type ServerHistory, type Session } from './session.ts';

export interface PoolOptions {
  /** `postgres://…`, asked for each connection; it holds a password, and goes into no message and no log. */
  readonly url: () => Promise<string>;
  /** Tables of this vault; a-z, 0-9 and _. */
  readonly schema: string;
  /** Connections at once. */
  readonly connections: number;
  /** Longest time of one statement. */
  readonly statementMs: number;
  /** Longest time of an operation: waiting for a connection, a server that starts anew and others that are in the way. */
  readonly waitMs: number;
  /** True: whoever moves the records opens it. */
  readonly moving?: boolean | undefined;
  /** Called while no connection is had, soon and then every few seconds. @param host "" before one was tried. */
  readonly onWaiting?: ((waiting: Waited) => void) | undefined;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

interface Waited {
  /** With its port; nothing else of the URL. */
  readonly host: string;
  readonly waitedMs: number;
  /** When it is given up, from the beginning. */
  readonly limitMs: number;
}

/** A place for one connection. Writes of one place come one after the other, numbered. */
export interface Slot {
  /** 32 hex digits. */
  readonly writer: string;
  /** Number of the latest write. */
  seq: number;
  session: Session | undefined;
}

interface Waiting {
  /** What it was given; undefined: the pool was closed. */
  slot: Slot | undefined;
  readonly turn: Deferred;
}

const CONNECT_MS = 10_000;
/** Who waits is told after this long, and again after that. */
const TELL_MS = { first: 500, again: 5_000 } as const;
/** Those that are in each other's way are soon out of it; a server takes longer to start. */
const PAUSE_MS = { first: 20, longest: 1_000, longestMet: 40 } as const;
/** Tries of one operation against others that change the same entries. */
export const MAX_COLLISIONS = 20;

/** At most so many connections, opened when needed; whoever comes later waits for one in turn. */
export class SessionPool {
  readonly options: PoolOptions;
  readonly #idle: Slot[] = [];
  readonly #slots: Slot[] = [];
  readonly #waiting = new Set<Waiting>();
  #closed = false;
  #drained: (() => void) | undefined;
  #ready: Promise<void> | undefined;
  /** Whom the latest connection led to. */
  #server: ServerHistory | undefined;
  /** Grows whenever that has not been through all that was read and written before. */
  history = 0;
  #telling = false;
  /** Whom the latest connection was tried to. */
  #host = '';
  /** Which of several hosts is tried next. */
  #turn = 0;

  constructor(options: PoolOptions) {
    this.options = options;
  }

  /** Runs `work` with a place of its own; `deadline` by the monotonic clock. */
  async use<T>(
    work: (slot: Slot, deadline: number) => Promise<T>,
    signal?: AbortSignal,
    waitMs: number = this.options.waitMs,
  ): Promise<T> {
    const deadline = this.options.clock.monotonic() + waitMs;
    const slot = await this.#take(signal);
    try {
      return await work(slot, deadline);
    } finally {
      this.#giveBack(slot);
    }
  }

  /**
   * A connection of this place, tried until the deadline.
   * @throws HoldfastError: nothing was sent.
   */
  async sessionOf(slot: Slot, deadline: number): Promise<Session> {
    if (this.#isLive(slot)) return slot.session;
    const told = this.#tellOfWaiting(deadline);
    try {
      return await this.#connected(slot, deadline);
    } finally {
      told();
    }
  }

  #isLive(slot: Slot): slot is Slot & { session: Session } {
    return slot.session?.over === false && slot.session.server.line === this.#server?.line;
  }

  /** One tells for all that wait at once. @returns ends it. */
  #tellOfWaiting(deadline: number): () => void {
    const { clock, onWaiting, waitMs } = this.options;
    if (onWaiting === undefined || this.#telling) return () => {};
    this.#telling = true;
    const began = clock.monotonic();
    const tell = (): void => {
      const waitedMs = clock.monotonic() - began;
      onWaiting({ host: this.#host, waitedMs, limitMs: Math.min(waitMs, deadline - began) });
      cancel = clock.timer(TELL_MS.again, tell, { idle: true });
    };
    let cancel = clock.timer(TELL_MS.first, tell, { idle: true });
    return () => {
      cancel();
      this.#telling = false;
    };
  }

  async #connected(slot: Slot, deadline: number): Promise<Session> {
    for (let attempt = 0; ; attempt++) {
      if (this.#isLive(slot)) return slot.session;
      // One that leads to a server of before may still answer.
      slot.session?.destroy();
      const turn = this.#turn;
      try {
        const url = await this.options.url();
        const onConnect = (host: string): void => {
          this.#host = host;
        };
        const session = await openSession({ ...this.options, url, connectMs: CONNECT_MS, onConnect }, turn);
        slot.session = session;
        this.#meet(session.server);
        await this.#prepare(session);
        return session;
      } catch (error) {
        // Several that failed at the same host go on to the next one together, and not past it.
        if (this.#turn === turn) this.#turn++;
        slot.session?.destroy();
        slot.session = undefined;
        if (isLasting(error)) throw postgresFailure(error);
        await this.pause(attempt, deadline, error);
      }
    }
  }

  #meet(server: ServerHistory): void {
    const before = this.#server;
    this.#server = server;
    if (before === undefined || (server.line === before.line && server.position >= before.position)) return;
    this.history++;
  }

  /** Runs one statement that changes nothing, again after a lost connection. */
  async ask<T>(slot: Slot, deadline: number, statement: (session: Session) => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      const session = await this.sessionOf(slot, deadline);
      try {
        return await statement(session);
      } catch (error) {
        if (error instanceof HoldfastError && error.kind === 'Corrupt') throw error;
        if (!isError(error)) session.destroy();
        else if (!isCollision(error) || attempt === MAX_COLLISIONS) throw postgresFailure(error);
        await this.pause(attempt, deadline, error);
      }
    }
  }

  /** Waits before the next try. @throws HoldfastError for `error` when there is no time for one. */
  async pause(attempt: number, deadline: number, error: unknown): Promise<void> {
    const { clock, random } = this.options;
    const most = isCollision(error) ? PAUSE_MS.longestMet : PAUSE_MS.longest;
    const longest = Math.min(most, PAUSE_MS.first * 2 ** Math.min(attempt, 10));
    const ms = longest * (0.5 + random(1)[0]! / 512);
    if (clock.monotonic() + ms >= deadline || attempt > MAX_TRIES) throw postgresFailure(error);
    await clock.sleep(ms);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { turn } of this.#waiting) turn.resolve();
    if (this.#idle.length < this.#slots.length) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
    await this.#forgetWriters();
    for (const { session } of this.#slots) session?.destroy();
  }

  async #take(signal: AbortSignal | undefined): Promise<Slot> {
    if (this.#closed) throw engineClosed();
    const free = this.#idle.pop() ?? this.#grow();
    if (free !== undefined) return free;
    const waiting: Waiting = { slot: undefined, turn: deferred() };
    this.#waiting.add(waiting);
    const { clock, waitMs } = this.options;
    const late = new AbortController();
    const cancel = clock.timer(waitMs, () => late.abort(allBusy(waitMs)));
    try {
      const until = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
      await abortable(waiting.turn.promise, until, 'waiting for a connection');
      if (waiting.slot === undefined) throw engineClosed();
      return waiting.slot;
    } catch (error) {
      this.#waiting.delete(waiting);
      // It may have been given one in the same moment.
      if (waiting.slot !== undefined) this.#giveBack(waiting.slot);
      throw error;
    } finally {
      cancel();
    }
  }

  #grow(): Slot | undefined {
    if (this.#slots.length >= this.options.connections) return undefined;
    const slot = { writer: Buffer.from(this.options.random(16)).toString('hex'), seq: 0, session: undefined };
    this.#slots.push(slot);
    return slot;
  }

  #giveBack(slot: Slot): void {
    const [next] = this.#waiting;
    if (next !== undefined && !this.#closed) {
      this.#waiting.delete(next);
      next.slot = slot;
      next.turn.resolve();
      return;
    }
    this.#idle.push(slot);
    if (this.#idle.length === this.#slots.length) this.#drained?.();
  }

  /** What of its writes became is asked no more. A row that stays is taken away by another engine, a day later. */
  async #forgetWriters(): Promise<void> {
    const wrote = this.#slots.filter(({ seq }) => seq > 0).map(({ writer }) => writer);
    const session = this.#slots.find((slot) => slot.session?.over === false)?.session;
    if (wrote.length === 0 || session === undefined) return;
    const { schema } = this.options;
    const statement = `DELETE FROM ${schema}.writers WHERE id = ANY($1::uuid[]) OR at < now() - interval '1 day'`;
    await session.query(statement, [`{${wrote}}`]).catch(() => {});
  }

  /** The schema is looked at once. */
  async #prepare(session: Session): Promise<void> {
    this.#ready ??= migrateSchema(session, this.options);
    const first = this.#ready;
    try {
      await first;
    } catch (error) {
      if (this.#ready === first) this.#ready = undefined;
      throw error;
    }
  }
}

const MAX_TRIES = 1_000;

const allBusy = (waitMs: number): HoldfastError =>
  new HoldfastError('Unavailable', 'all connections to the database stayed busy', {
    code: 'engine_contended',
    hint: 'Allow more with engine.postgres_connections, or do less at once.',
    context: { waitMs },
  });
