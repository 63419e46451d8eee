import type { Clock } from '../core/clock.ts';
import type { Exchange } from '../http/exchange.ts';

/**
 * Clients that do not take what they asked for. Waiting for one costs a piece in memory and nothing else. So it gives its
 * place among the requests being served to others, and a crowd of such clients keeps nobody out.
 */
export interface SlowReaders {
  /** Passes the pieces on, and notices when the client does not come for the next one. */
  watch(exchange: Exchange, pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
}

const SLOW_MS = 500;
/** So many may wait without a place, none with a longer piece. About as much again is in its socket. */
const MAX_WAITING = 1024;
const LONGEST_PIECE = 64 * 1024;

export function createSlowReaders(clock: Clock): SlowReaders {
  let waiting = 0;
  return {
    async *watch(exchange, pieces) {
      let handedMs = Number.POSITIVE_INFINITY;
      let pieceBytes = 0;
      const giveUpPlace = (): void => {
        if (waiting >= MAX_WAITING || pieceBytes > LONGEST_PIECE) return;
        waiting++;
        exchange.atEnd(() => {
          waiting--;
        });
        exchange.leave();
      };
      exchange.atEnd(exchange.slow.watch(() => handedMs + SLOW_MS, giveUpPlace));
      try {
        for await (const piece of pieces) {
          handedMs = clock.monotonic();
          pieceBytes = piece.length;
          yield piece;
          handedMs = Number.POSITIVE_INFINITY;
        }
      } finally {
        // The last piece has yet to be taken.
        handedMs = clock.monotonic();
      }
    },
  };
}
