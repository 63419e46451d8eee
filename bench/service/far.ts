import { type Way, wayTo } from './way.ts';

/** A way to a server on which every answer takes a while longer. @param delayMs of each piece of an answer; asked for at each. */
export const farFrom = (port: number, delayMs: () => number): Promise<Way> =>
  wayTo(port, {
    answers(near) {
      // Pieces stay in their order: none overtakes one that was delayed for longer.
      const pieces: Buffer[] = [];
      let last = 0;
      return (piece) => {
        last = Math.max(last, performance.now() + delayMs());
        pieces.push(piece);
        setTimeout(() => near.write(pieces.shift()!), last - performance.now());
      };
    },
  });
