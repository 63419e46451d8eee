import type { Dispatcher } from 'undici';
import { abortError } from '../../core/abort.ts';
import { HoldfastError } from '../../core/errors.ts';
import { Inbox, type TakePiece } from './inbox.ts';

/** What a server answered. The body comes once, in one of these ways; unread it keeps its connection busy. */
export interface WireAnswer {
  readonly status: number;
  header(name: string): string | undefined;
  /** Throws `Unavailable` when the connection ends before the body does. Not read to the end: the connection is dropped. */
  readonly body: AsyncIterable<Uint8Array>;
  /**
   * Gives each piece to `take` as it comes, which costs half as much as pulling them; the connection is dropped when it
   * has enough. Rejects as `body` throws and with what `take` throws. Once this has settled, `take` is not called again.
   */
  drain(take: TakePiece): Promise<void>;
  /** The body as text, of which at most `maxBytes` are read. */
  text(maxBytes?: number): Promise<string>;
  /** Lets go of the body. */
  discard(): Promise<void>;
}

/** The time by the server's clock, if it states it; to the second. */
export function statedTime(answer: Pick<WireAnswer, 'header'>): { readonly clockUnixMs?: number } {
  const stated = Date.parse(answer.header('date') ?? '');
  return Number.isNaN(stated) ? {} : { clockUnixMs: stated };
}

/** What an answer about one thing may say; of a longer one the rest is left. */
const MAX_TEXT_BYTES = 64 * 1024;
/** A rest of a body up to here is read, so that the connection can be used again; a longer one is not worth it. */
const WORTH_READING_BYTES = 64 * 1024;

/** Made once, as nobody looks at it: an error costs its stack. */
const DROPPED = new HoldfastError('Aborted', 'the rest of the answer is not wanted');

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/**
 * One request on its way through undici's dispatcher. Beneath undici's `request`, whose streams cost as much again as
 * receiving does.
 */
export class AnswerHandler implements Dispatcher.DispatchHandler {
  readonly answer: Promise<WireAnswer>;
  readonly #inbox: Inbox;
  readonly #typed: (error: unknown) => unknown;
  readonly #end: () => void;
  #resolve: (answer: WireAnswer) => void = () => {};
  #reject: (error: unknown) => void = () => {};
  #controller: Dispatcher.DispatchController | undefined;
  #givenUp = false;

  /** @param typed makes an error of the connection one of ours. */
  constructor(signal: AbortSignal | undefined, typed: (error: unknown) => unknown) {
    this.#typed = typed;
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#inbox = new Inbox({
      pause: () => this.#controller?.pause(),
      resume: () => this.#controller?.resume(),
      abort: () => this.#giveUp(),
    });
    const onAbort = (): void => {
      this.#fail(abortError(signal as AbortSignal));
      this.#giveUp();
    };
    this.#end = () => signal?.removeEventListener('abort', onAbort);
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#givenUp) controller.abort(DROPPED);
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Headers): void {
    if (status >= 200) this.#resolve(answerOf(status, headers, this.#inbox));
  }

  onResponseData(_: Dispatcher.DispatchController, { buffer, byteOffset, length }: Buffer): void {
    this.#inbox.push(new Uint8Array(buffer, byteOffset, length));
  }

  onResponseEnd(): void {
    this.#end();
    this.#inbox.end();
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#fail(this.#typed(error));
  }

  #fail(error: unknown): void {
    this.#end();
    this.#reject(error);
    this.#inbox.fail(error);
  }

  /** Closes the connection, at once or when there is one: it is in the middle of a message. */
  #giveUp(): void {
    this.#end();
    this.#givenUp = true;
    this.#controller?.abort(DROPPED);
  }
}

function answerOf(status: number, headers: Headers, inbox: Inbox): WireAnswer {
  return {
    status,
    header: (name) => {
      const value = headers[name.toLowerCase()];
      return Array.isArray(value) ? value.join(', ') : value;
    },
    body: { [Symbol.asyncIterator]: () => inbox.pieces() },
    drain: (take) => inbox.drain(take),
    async text(maxBytes = MAX_TEXT_BYTES) {
      const kept: Uint8Array[] = [];
      let size = 0;
      await inbox.drain((piece) => {
        kept.push(piece);
        size += piece.length;
        return size < maxBytes;
      });
      return Buffer.concat(kept).toString('utf8', 0, maxBytes);
    },
    discard() {
      let size = 0;
      const rest = (piece: Uint8Array): boolean => {
        size += piece.length;
        return size <= WORTH_READING_BYTES;
      };
      return inbox.drain(rest).catch(() => {});
    },
  };
}
