import type { Socket } from 'node:net';
import { median } from '../numbers.ts';
import { type Way, wayTo } from './way.ts';
import { type Asked, Wire } from './wire.ts';

/** A way to a server on which answers wait for each other, so that round trips can be counted instead of timed. */
export interface CountedWay extends Way {
  /** Round trips so far: answers that travelled together count once. */
  readonly trips: number;
}

/** Answers travel once nothing was asked or answered for so long. */
const QUIET_MS = 60;

export async function countedWayTo(port: number): Promise<CountedWay> {
  let held: [Socket, Buffer][] = [];
  let [trips, counts] = [0, false];
  let timer: NodeJS.Timeout | undefined;
  const travel = (): void => {
    if (counts) trips++;
    counts = false;
    const going = held;
    held = [];
    for (const [socket, piece] of going) socket.write(piece);
  };
  const wait = (): void => {
    clearTimeout(timer);
    timer = setTimeout(travel, QUIET_MS);
  };
  const way = await wayTo(port, {
    asked(piece) {
      // Whether the provider is there is asked besides.
      if (!piece.includes('/readyz')) counts = true;
      wait();
    },
    answers: (near) => (piece) => {
      held.push([near, piece]);
      wait();
    },
  });
  return {
    port: way.port,
    get trips() {
      return trips;
    },
    close() {
      clearTimeout(timer);
      way.close();
    },
  };
}

const READERS = 16;
const ROUNDS = 7;
const WARM_ROUNDS = 3;

/** How many blobs are read for the first time. */
export const TRIP_BLOBS: number = READERS * (ROUNDS + WARM_ROUNDS);

/**
 * Round trips of a read of a blob that the server did not know, and of one that it knows, together: as many readers as there
 * are connections read at the same time, and as many trips as that takes are counted.
 * @param paths as many as `TRIP_BLOBS`, none read before. @throws Error when an answer is not what was asked for.
 */
export async function countTrips(port: number, way: CountedWay, paths: readonly string[]): Promise<number> {
  const wires = Array.from({ length: READERS }, () => new Wire(port));
  const tripsOf = async (asks: readonly Asked[]): Promise<number> => {
    const before = way.trips;
    const answers = await Promise.all(asks.map((ask, i) => wires[i]!.ask(ask)));
    for (const { status } of answers)
      if (status !== 200) throw new Error(`a read over a long way was answered with ${status}`);
    return way.trips - before;
  };
  const first: number[] = [];
  const again: number[] = [];
  for (let round = 0; round < WARM_ROUNDS + ROUNDS; round++) {
    const mine = paths.slice(READERS * round, READERS * (round + 1));
    const [some, more] = [
      await tripsOf(mine.map((path) => ({ method: 'GET', path }))),
      await tripsOf(mine.map((path, i) => ({ method: i % 4 === 0 ? 'HEAD' : 'GET', path }))),
    ];
    if (round < WARM_ROUNDS) continue;
    first.push(some);
    again.push(more);
  }
  for (const wire of wires) wire.close();
  return median(first) + median(again);
}
