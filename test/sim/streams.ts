import { createHash } from 'node:crypto';

/** Numbers of one purpose. What another purpose draws changes none of them. */
export interface Stream {
  /** From 0 up to, but not, 1. */
  next(): number;
  /** A whole number from `min` to `max`. */
  between(min: number, max: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
  bytes(length: number): Uint8Array;
}

/** New purposes come at the end, and draw from streams of their own, so that old seeds keep their meaning. */
type Purpose =
  | 'network'
  | 'workload'
  | 'faults'
  | 'schedule'
  | 'swarm'
  | 'secrets'
  | 'trouble'
  | 'disk'
  | 'checks'
  | 'files'
  | 'upkeep';

export type Streams = Readonly<Record<Purpose, Stream>>;

/** The streams that one seed is split into. */
export function streamsOf(seed: number): Streams {
  const stream = (purpose: Purpose): Stream => streamFrom(`${seed} ${purpose}`);
  return {
    network: stream('network'),
    workload: stream('workload'),
    faults: stream('faults'),
    schedule: stream('schedule'),
    swarm: stream('swarm'),
    secrets: stream('secrets'),
    trouble: stream('trouble'),
    disk: stream('disk'),
    checks: stream('checks'),
    files: stream('files'),
    upkeep: stream('upkeep'),
  };
}

/** The sfc32 generator: 128 bits of state, the same numbers on every machine. */
function streamFrom(text: string): Stream {
  const digest = createHash('sha256').update(text).digest();
  let [a, b, c, d] = [0, 4, 8, 12].map((at) => digest.readInt32LE(at)) as [number, number, number, number];
  const word = (): number => {
    const sum = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return sum >>> 0;
  };
  const next = (): number => word() / 2 ** 32;
  const between = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1));
  return {
    next,
    between,
    chance: (probability) => next() < probability,
    pick: (items) => items[between(0, items.length - 1)]!,
    bytes(length) {
      const out = new Uint8Array(length);
      const view = new DataView(out.buffer);
      let at = 0;
      for (; at + 4 <= length; at += 4) view.setUint32(at, word());
      for (; at < length; at++) out[at] = word();
      return out;
    },
  };
}
