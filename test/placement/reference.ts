import type { LinearCode } from '../../src/coding/erasure/linear-code.ts';
import type { PlacementProvider } from '../../src/placement/domains.ts';

/** Slow and obvious: schoolbook multiplication over GF(2^8), Gaussian elimination, every subset. */

const PRODUCTS = Array.from({ length: 256 }, (_, a) =>
  Uint8Array.from({ length: 256 }, (_, b) => product(a, b)),
);

function product(a: number, b: number): number {
  let sum = 0;
  for (let bit = 7; bit >= 0; bit--) {
    sum = (sum << 1) ^ (sum & 0x80 ? 0x171 : 0);
    if ((b >> bit) & 1) sum ^= a;
  }
  return sum & 0xff;
}

export function decodes(code: LinearCode, available: readonly number[]): boolean {
  if (available.length < code.dataShards) return false;
  const rows = available.map((shard) => code.generator[shard]!.slice());
  for (let column = 0; column < code.dataShards; column++) {
    const pivot = rows.findIndex((row, i) => i >= column && row[column] !== 0);
    if (pivot < 0) return false;
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    const top = rows[column]!;
    const inverse = PRODUCTS[top[column]!]!.indexOf(1);
    for (let r = column + 1; r < rows.length; r++) {
      const factor = PRODUCTS[rows[r]![column]!]![inverse]!;
      if (factor === 0) continue;
      for (let c = column; c < code.dataShards; c++) rows[r]![c]! ^= PRODUCTS[factor]![top[c]!]!;
    }
  }
  return true;
}

/** For every set of lost domains (bit d: domain d), whether all of the chunks can still be read. */
export function survivors(
  code: LinearCode,
  chunks: readonly (readonly (number | undefined)[])[],
  domains: number,
): boolean[] {
  return Array.from({ length: 2 ** domains }, (_, lost) =>
    chunks.every((places) => {
      const kept = places.flatMap((place, shard) =>
        place === undefined || (lost >> place) & 1 ? [] : [shard],
      );
      return decodes(code, kept);
    }),
  );
}

/** The largest f such that no set of f domains is fatal; −1 when nothing need be lost. */
export function toleratedBy(survives: readonly boolean[], domains: number): number {
  const sizes = survives.flatMap((alive, lost) => (alive ? [] : [bits(lost)]));
  return Math.min(domains + 1, ...sizes) - 1;
}

export const bits = (mask: number): number => mask.toString(2).replaceAll('0', '').length;

export const labels = (
  provider: string,
  account = 'default',
  region = 'unknown',
): PlacementProvider['domain'] => ({
  provider,
  account,
  region,
});

/** p1 … pN, each on its own. */
export function providersOf(count: number): PlacementProvider[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `p${i + 1}`,
    domain: labels(`p${i + 1}`),
    score: -i,
  }));
}

/** Every set of `size` numbers below `count`. */
export function setsOf(count: number, size: number, from = 0): number[][] {
  if (size === 0) return [[]];
  const firsts = Array.from({ length: Math.max(0, count - from) }, (_, i) => from + i);
  return firsts.flatMap((first) => setsOf(count, size - 1, first + 1).map((rest) => [first, ...rest]));
}

/** The shards that are left when these providers are lost. */
export const keptWithout = (places: readonly number[], lost: readonly number[]): number[] =>
  [...places.keys()].filter((shard) => !lost.includes(places[shard]!));
