import { toHex } from '../../core/bytes.ts';
import { bitRows } from './gf256.ts';
import type { ShardProgram } from './kernel.ts';
import { ones } from './masks.ts';

/**
 * Part of a shard program as sums of packets. Packets are numbered lane by lane through the inputs, and the sums
 * that several rows share follow after them, each the sum of two earlier numbers.
 */
export interface XorTile {
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Packets a shard is seen as: 8, or 1 where every coefficient is 0 or 1 and bits need no telling apart. */
  readonly lanes: 1 | 8;
  readonly shared: readonly (readonly [number, number])[];
  /** For each packet of the outputs, what to add up. */
  readonly rows: readonly (readonly number[])[];
  /** Add to what an earlier tile left in the outputs. */
  readonly accumulate: boolean;
}

/** Beyond these a tile's straight-line code would outgrow the instruction cache and the time to compile it. */
const MAX_TILE_INPUTS = 24;
const MAX_TILE_OUTPUTS = 12;

function xorTiles(program: ShardProgram): XorTile[] {
  const lanes = program.coefficients.every((row) => row.every((element) => element <= 1)) ? 1 : 8;
  const tiles: XorTile[] = [];
  for (const outputs of runs(program.outputs.length, MAX_TILE_OUTPUTS)) {
    for (const inputs of runs(program.inputs.length, MAX_TILE_INPUTS)) {
      const plain = outputs.flatMap((o) => sumsOf(program.coefficients[o]!, inputs, lanes));
      tiles.push({
        inputs: inputs.map((i) => program.inputs[i]!),
        outputs: outputs.map((o) => program.outputs[o]!),
        lanes,
        ...shareSums(plain, inputs.length * lanes),
        accumulate: inputs[0] !== 0,
      });
    }
  }
  return tiles;
}

/** The packets to add up for each packet of one output. */
function sumsOf(coefficients: Uint8Array, inputs: readonly number[], lanes: 1 | 8): number[][] {
  const sums = Array.from({ length: lanes }, (): number[] => []);
  for (const [at, input] of inputs.entries()) {
    const rows = lanes === 1 ? [coefficients[input]!] : bitRows(coefficients[input]!);
    for (const [b, row] of rows.entries()) {
      for (let a = 0; a < lanes; a++) if ((row >> a) & 1) sums[b]!.push(at * lanes + a);
    }
  }
  return sums;
}

/** 0…length−1 in runs as even as can be, each of at most `most`. */
function runs(length: number, most: number): number[][] {
  const size = Math.ceil(length / Math.ceil(length / most));
  const out: number[][] = [];
  for (let from = 0; from < length; from += size) {
    out.push(Array.from({ length: Math.min(size, length - from) }, (_, i) => from + i));
  }
  return out;
}

/**
 * Common sub-expressions of a system of sums over GF(2), by the greedy of Paar ("Optimized arithmetic for
 * Reed-Solomon encoders", 1997): the pair of terms that most rows have in common becomes a term of its own, until
 * no two rows share a pair. The default encoder shrinks from 1,492 XORs to 785.
 */
function shareSums(
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

/** Plain data, so that threads can be given it: what one has worked out the others need not. */
export type KnownTiles = readonly (readonly [key: string, tiles: readonly XorTile[]])[];

/** A program is some tens of kilobytes of pairs and rows. */
const MAX_KNOWN = 16;

/**
 * The sums that programs share, each worked out once. Finding them takes some twenty milliseconds for the default
 * encoder, which is more than encoding a hundred megabytes.
 */
export class TileMemory {
  readonly #known: Map<string, readonly XorTile[]>;

  constructor(known: KnownTiles = []) {
    this.#known = new Map(known);
  }

  of(program: ShardProgram): readonly XorTile[] {
    const key = keyOf(program);
    let tiles = this.#known.get(key);
    if (tiles === undefined) {
      tiles = xorTiles(program);
      if (this.#known.size < MAX_KNOWN) this.#known.set(key, tiles);
    }
    return tiles;
  }

  get known(): KnownTiles {
    return [...this.#known];
  }
}

const keyOf = ({ inputs, outputs, coefficients, dataShards }: ShardProgram): string =>
  [dataShards, inputs.join(), outputs.join(), ...coefficients.map(toHex)].join(' ');
