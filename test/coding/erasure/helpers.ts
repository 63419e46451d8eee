export const range = (length: number): number[] => Array.from({ length }, (_, i) => i);

export const without = (total: number, lost: readonly number[]): number[] =>
  range(total).filter((shard) => !lost.includes(shard));

/** A repeatable source of numbers below a bound. */
export function draws(seed: number): (bound: number) => number {
  let state = seed >>> 0 || 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

export function someBytes(length: number, seed: number): Uint8Array {
  const draw = draws(seed);
  return Uint8Array.from({ length }, () => draw(256));
}

export function binomial(n: number, k: number): number {
  let out = 1;
  for (let i = 1; i <= k; i++) out = (out * (n - k + i)) / i;
  return Math.round(out);
}

/** All sets of `size` members out of `total`, ascending. */
export function* subsets(total: number, size: number, from = 0): Generator<number[]> {
  if (size === 0) yield [];
  else
    for (let i = from; i <= total - size; i++)
      for (const rest of subsets(total, size - 1, i + 1)) yield [i, ...rest];
}
