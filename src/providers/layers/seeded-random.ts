/** Chance that can be repeated. Never for keys, salts or names. */
export interface SeededRandom {
  hits(probability: number): boolean;
  within(range: number | readonly [number, number]): number;
  /** Changes one bit in place, if there is one. */
  flipBit(bytes: Uint8Array): void;
}

/** Numbers from xorshift32 (G. Marsaglia, "Xorshift RNGs", 2003). */
export function createDice(seed: number): SeededRandom {
  let state = (seed ^ 0x9e3779b9) | 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return {
    hits: (probability) => probability >= 1 || next() < probability,
    within: (range) => (typeof range === 'number' ? range : range[0] + next() * (range[1] - range[0])),
    flipBit(bytes) {
      const at = Math.floor(next() * bytes.length);
      if (bytes.length > 0) bytes[at] = bytes[at]! ^ (1 << Math.floor(next() * 8));
    },
  };
}
