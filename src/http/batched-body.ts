import type { Clock } from '../core/clock.ts';
import { cutShort } from './body.ts';
import type { Exchange } from './exchange.ts';
import { tooLarge } from './problem.ts';
import { type AllowanceLimits, tooSlow } from './slow-peers.ts';

interface BatchOptions {
  /** Bytes as they come over the wire. */
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly allowance: AllowanceLimits;
}

/** A body in few long pieces. A piece is valid until the reader asks for the next one; it asks for one at a time. */
export interface BatchedBody extends AsyncIterableIterator<Uint8Array> {
  /** Memory of the last piece, until the reader asks for another. */
  readonly lent: Uint8Array | undefined;
  /** Takes nothing more of the request and touches the memory no more. Idempotent. */
  stop(): void;
}

/**
 * Receives a body into the memory given: it fills one buffer while the reader uses another, and while all are full the
 * sender waits. This costs much less than pulling piece by piece, which takes a promise, a timer and a write for every
 * 64 KiB.
 *
 * `next` rejects with HttpProblem 413 over the cap and 400 when the body ends early, and with HoldfastError `Timeout`
 * when it comes too slowly. The time that the sender was made to wait does not count.
 */
export function batchBody(
  exchange: Exchange,
  memory: readonly Uint8Array[],
  options: BatchOptions,
): BatchedBody {
  exchange.invite();
  return new Batches(exchange, memory, options);
}

interface Waiting {
  readonly resolve: (step: IteratorResult<Uint8Array>) => void;
  readonly reject: (error: Error) => void;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

class Batches implements BatchedBody {
  readonly #exchange: Exchange;
  readonly #options: BatchOptions;
  readonly #free: Uint8Array[];
  readonly #full: Uint8Array[] = [];
  readonly #startMs: number;
  readonly #unwatch: () => void;
  #filling: Uint8Array | undefined;
  #filled = 0;
  /** The bytes that came when all memory was full. */
  #rest: Uint8Array | undefined;
  #size = 0;
  #pausedMs = 0;
  #pausedAtMs: number | undefined;
  #lent: Uint8Array | undefined;
  #waiting: Waiting | undefined;
  #ended = false;
  #failure: Error | undefined;

  constructor(exchange: Exchange, memory: readonly Uint8Array[], options: BatchOptions) {
    this.#exchange = exchange;
    this.#options = options;
    this.#free = [...memory];
    this.#startMs = options.clock.monotonic();
    this.#unwatch = exchange.slow.watch(this.#deadlineMs, () => this.#fail(tooSlow()));
    const { request } = exchange;
    if (request.destroyed) this.#fail(cutShort());
    else request.on('data', this.#take).on('end', this.#end).on('error', this.#cut).on('close', this.#cut);
  }

  get lent(): Uint8Array | undefined {
    return this.#lent;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    this.#takeBack();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const step = this.#step();
    if (step !== undefined) return Promise.resolve(step);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<Uint8Array>> {
    this.stop();
    return Promise.resolve(DONE);
  }

  stop(): void {
    if (this.#ended) this.#failure ??= cutShort();
    else this.#fail(cutShort());
  }

  readonly #deadlineMs = (): number => {
    if (this.#pausedAtMs !== undefined) return Number.POSITIVE_INFINITY;
    const { graceMs, minBytesPerSecond } = this.#options.allowance;
    return this.#startMs + this.#pausedMs + graceMs + (1000 * this.#size) / minBytesPerSecond;
  };

  readonly #take = (piece: Buffer): void => {
    this.#size += piece.length;
    this.#exchange.bytesIn += piece.length;
    if (this.#size > this.#options.maxBytes) this.#fail(tooLarge(this.#options.maxBytes));
    else this.#put(piece);
  };

  /** Copies to where there is room. Without room the sender waits. */
  #put(piece: Uint8Array): void {
    let at = 0;
    while (at < piece.length) {
      this.#filling ??= this.#free.pop();
      if (this.#filling === undefined) break;
      const part = piece.subarray(at, at + this.#filling.length - this.#filled);
      this.#filling.set(part, this.#filled);
      at += part.length;
      this.#filled += part.length;
      if (this.#filled === this.#filling.length) {
        this.#full.push(this.#filling);
        this.#filling = undefined;
        this.#filled = 0;
      }
    }
    if (at < piece.length) this.#rest = piece.subarray(at);
    if (this.#filling === undefined && this.#free.length === 0) this.#pause();
    this.#wake();
  }

  #pause(): void {
    this.#pausedAtMs ??= this.#options.clock.monotonic();
    this.#exchange.request.pause();
  }

  /** The reader is done with the last piece. */
  #takeBack(): void {
    if (this.#lent === undefined) return;
    this.#free.push(this.#lent);
    this.#lent = undefined;
    if (this.#pausedAtMs === undefined || this.#failure !== undefined) return;
    this.#pausedMs += this.#options.clock.monotonic() - this.#pausedAtMs;
    this.#pausedAtMs = undefined;
    const rest = this.#rest;
    this.#rest = undefined;
    this.#exchange.request.resume();
    if (rest !== undefined) this.#put(rest);
  }

  #step(): IteratorResult<Uint8Array> | undefined {
    const full = this.#full.shift();
    if (full !== undefined) {
      this.#lent = full;
      return { done: false, value: full };
    }
    if (!this.#ended) return undefined;
    if (this.#filling === undefined) return DONE;
    const last = this.#filling;
    this.#filling = undefined;
    this.#lent = last;
    return { done: false, value: last.subarray(0, this.#filled) };
  }

  #wake(): void {
    const waiting = this.#waiting;
    const step = waiting && this.#step();
    if (step === undefined) return;
    this.#waiting = undefined;
    waiting?.resolve(step);
  }

  readonly #end = (): void => {
    if (!this.#exchange.request.complete) {
      this.#fail(cutShort());
      return;
    }
    this.#ended = true;
    this.#letGo();
    this.#wake();
  };

  /** A request may be parsed to its end and still lose, with its connection, the bytes that nobody took. */
  readonly #cut = (error?: Error): void => this.#fail(cutShort(error));

  #fail(error: Error): void {
    if (this.#ended || this.#failure !== undefined) return;
    this.#failure = error;
    this.#letGo();
    this.#exchange.request.pause();
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  #letGo(): void {
    this.#unwatch();
    const { request } = this.#exchange;
    request.off('data', this.#take).off('end', this.#end).off('error', this.#cut).off('close', this.#cut);
  }
}
