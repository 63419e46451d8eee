/** The connection that pieces come from. */
export interface Flow {
  pause(): void;
  resume(): void;
  /** Drops the connection: what is still to come is not wanted. */
  abort(): void;
}

/** Is given each piece as it comes. False: it has enough. */
export type TakePiece = (piece: Uint8Array) => boolean;

/** Pieces that nobody has asked for yet; beyond them the connection is not read. */
const MAX_WAITING_BYTES = 256 * 1024;

/** A body between the connection that pushes it and its reader, who takes it piece by piece or as it comes. */
export class Inbox {
  readonly #flow: Flow;
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #over: { readonly error?: unknown } | undefined;
  #drain: { take: TakePiece; resolve(): void; reject(error: unknown): void } | undefined;
  #wake = (): void => {};

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  push(piece: Uint8Array): void {
    if (this.#over !== undefined) return;
    if (this.#drain !== undefined) {
      this.#give(piece);
      return;
    }
    this.#waiting.push(piece);
    this.#waitingBytes += piece.length;
    if (this.#waitingBytes >= MAX_WAITING_BYTES) this.#flow.pause();
    this.#wake();
  }

  end(): void {
    this.#settle({});
  }

  fail(error: unknown): void {
    this.#settle({ error });
  }

  /** Dropped where it is not read to the end. */
  async *pieces(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        if (this.#over !== undefined && 'error' in this.#over) throw this.#over.error;
        const piece = this.#waiting.shift();
        if (piece !== undefined) {
          this.#waitingBytes -= piece.length;
          this.#flow.resume();
          yield piece;
        } else if (this.#over !== undefined) {
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      this.drop();
    }
  }

  /** Resolves at the end or when `take` has enough. Once it has settled, `take` is not called again. */
  drain(take: TakePiece): Promise<void> {
    return new Promise((resolve, reject) => {
      const over = this.#over;
      if (over !== undefined && 'error' in over) return reject(over.error);
      this.#drain = { take, resolve, reject };
      for (const piece of this.#waiting.splice(0)) this.#give(piece);
      this.#waitingBytes = 0;
      if (over === undefined) this.#flow.resume();
      else this.#answer(over);
    });
  }

  drop(): void {
    if (this.#over !== undefined) return;
    this.#waiting.length = 0;
    this.#settle({});
    this.#flow.abort();
  }

  #give(piece: Uint8Array): void {
    try {
      if (this.#drain === undefined || this.#drain.take(piece)) return;
      this.#answer({});
      this.drop();
    } catch (error) {
      this.#answer({ error });
      this.drop();
    }
  }

  #settle(over: { readonly error?: unknown }): void {
    if (this.#over !== undefined) return;
    this.#over = over;
    this.#wake();
    this.#answer(over);
  }

  #answer(over: { readonly error?: unknown }): void {
    const drain = this.#drain;
    this.#drain = undefined;
    if ('error' in over) drain?.reject(over.error);
    else drain?.resolve();
  }
}
