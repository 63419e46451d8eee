import { abortError } from '../../core/abort.ts';

/** Turns pieces that are pushed into a body that is pulled: one piece at a time, so nothing piles up. */
export interface PushBody {
  readonly body: AsyncIterable<Uint8Array>;
  /** Resolves when the piece has been taken; the piece is copied, its buffer may be used again. */
  push(piece: Uint8Array): Promise<void>;
  end(): void;
  fail(error: unknown): void;
}

export function createPushBody(signal: AbortSignal | undefined): PushBody {
  let waiting: { piece: Uint8Array; taken: () => void; dropped: (error: unknown) => void } | undefined;
  let wake = (): void => {};
  let ended = false;
  let failure: { error: unknown } | undefined;
  const fail = (error: unknown): void => {
    failure ??= { error };
    waiting?.dropped(error);
    waiting = undefined;
    wake();
  };
  signal?.addEventListener('abort', () => fail(abortError(signal)), { once: true });

  async function* pull(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        if (failure !== undefined) throw failure.error;
        if (waiting !== undefined) {
          const { piece, taken } = waiting;
          waiting = undefined;
          taken();
          yield piece;
        } else if (ended) {
          return;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      if (!ended) fail(new Error('the request ended before its body did'));
    }
  }

  return {
    body: pull(),
    push: (piece) =>
      new Promise((taken, dropped) => {
        if (failure !== undefined) return dropped(failure.error);
        waiting = { piece: piece.slice(), taken, dropped };
        wake();
      }),
    end() {
      ended = true;
      wake();
    },
    fail,
  };
}
