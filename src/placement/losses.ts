import type { LinearCode } from '../coding/erasure/linear-code.ts';

/** Shards that vanish together. */
export type Block = readonly number[];

/** What is still there while blocks are taken away and put back. */
interface Losses {
  lose(block: number): void;
  restore(block: number): void;
  /** True when what is left does not decode. */
  fatal(): boolean;
}

/** Any `dataShards` shards decode, so only their number matters. */
export const isMds = (code: LinearCode): boolean =>
  code.params.algorithm === 'reed-solomon' || code.params.algorithm === 'replica';

/**
 * Visits every set of `size` blocks whose loss is fatal, in lexicographic order, until `visit` says stop.
 * @param blocks disjoint. @param gone shards that are lost already.
 * @returns how many sets were tested; more than `maxTests` only by being stopped there.
 */
export function eachFatalSet(
  code: LinearCode,
  blocks: readonly Block[],
  gone: Block,
  size: number,
  visit: (blocks: readonly number[]) => 'go on' | 'stop',
  maxTests: number = Number.POSITIVE_INFINITY,
): number {
  const losses = lossesOf(code, blocks, gone);
  const chosen: number[] = [];
  let tests = 0;
  let stopped = false;
  const descend = (from: number): void => {
    if (chosen.length === size) {
      stopped = ++tests > maxTests || (losses.fatal() && visit(chosen) === 'stop');
      return;
    }
    const last = blocks.length - (size - chosen.length);
    for (let block = from; block <= last && !stopped; block++) {
      losses.lose(block);
      chosen.push(block);
      descend(block + 1);
      chosen.pop();
      losses.restore(block);
    }
  };
  descend(0);
  return tests;
}

/** How many sets of `size` blocks are fatal; counting ends above `limit` of them, or of tests. */
export function countFatalSets(
  code: LinearCode,
  blocks: readonly Block[],
  gone: Block,
  size: number,
  limit: { readonly fatal?: number; readonly tests?: number } = {},
): { readonly fatal: number; readonly tests: number } {
  const { fatal: maxFatal = Number.POSITIVE_INFINITY, tests: maxTests } = limit;
  let fatal = 0;
  const visit = (): 'go on' | 'stop' => (++fatal > maxFatal ? 'stop' : 'go on');
  const tests = eachFatalSet(code, blocks, gone, size, visit, maxTests);
  return { fatal, tests };
}

export interface FatalSet {
  /** Any this many blocks may vanish; −1 when the data is lost already. */
  readonly tolerates: number;
  /** A smallest set that is fatal, as places in the list; undefined if the search was given up before it. */
  readonly worst: readonly number[] | undefined;
}

/** Rank tests one search may make: about a second. Codes of up to 27 shards never need a tenth of it. */
const MAX_MASK_TESTS = 5_000_000;
const MAX_RANK_TESTS = 10_000;

/**
 * The smallest set of blocks whose loss is fatal, by testing all sets in order of size. For a code of very many
 * shards the search may be given up: then `tolerates` is what has been proven, and never too much.
 */
export function smallestFatalSet(code: LinearCode, blocks: readonly Block[], gone: Block): FatalSet {
  if (isMds(code)) return smallestByCount(code, blocks, gone);
  let budget = usesMasks(code) ? MAX_MASK_TESTS : MAX_RANK_TESTS;
  for (let size = 0; size <= blocks.length; size++) {
    let worst: readonly number[] | undefined;
    const stop = (set: readonly number[]): 'stop' => {
      worst = [...set];
      return 'stop';
    };
    budget -= eachFatalSet(code, blocks, gone, size, stop, budget);
    if (worst !== undefined || budget < 0) return { tolerates: size - 1, worst };
  }
  return { tolerates: blocks.length, worst: undefined };
}

/** The largest blocks first: no other set of their number takes more shards. */
function smallestByCount(code: LinearCode, blocks: readonly Block[], gone: Block): FatalSet {
  const order = blocks.map((block, index) => ({ index, size: block.length }));
  order.sort((a, b) => b.size - a.size || a.index - b.index);
  let left = code.totalShards - gone.length;
  const worst: number[] = [];
  for (const { index, size } of order) {
    if (left < code.dataShards) break;
    left -= size;
    worst.push(index);
  }
  return { tolerates: worst.length - 1, worst: worst.sort((a, b) => a - b) };
}

const usesMasks = (code: LinearCode): boolean => code.totalShards <= 32;

function lossesOf(code: LinearCode, blocks: readonly Block[], gone: Block): Losses {
  if (isMds(code)) return new CountLosses(code, blocks, gone);
  return usesMasks(code) ? new MaskLosses(code, blocks, gone) : new ListLosses(code, blocks, gone);
}

class CountLosses implements Losses {
  readonly #blocks: readonly Block[];
  /** Shards that may still be lost. */
  #spare: number;

  constructor(code: LinearCode, blocks: readonly Block[], gone: Block) {
    this.#blocks = blocks;
    this.#spare = code.totalShards - code.dataShards - gone.length;
  }

  lose(block: number): void {
    this.#spare -= this.#blocks[block]!.length;
  }

  restore(block: number): void {
    this.#spare += this.#blocks[block]!.length;
  }

  fatal(): boolean {
    return this.#spare < 0;
  }
}

class MaskLosses implements Losses {
  readonly #code: LinearCode;
  readonly #masks: Int32Array;
  #alive: number;

  constructor(code: LinearCode, blocks: readonly Block[], gone: Block) {
    this.#code = code;
    this.#masks = Int32Array.from(blocks, maskOf);
    this.#alive = (code.totalShards === 32 ? -1 : (1 << code.totalShards) - 1) & ~maskOf(gone);
  }

  lose(block: number): void {
    this.#alive &= ~this.#masks[block]!;
  }

  restore(block: number): void {
    this.#alive |= this.#masks[block]!;
  }

  fatal(): boolean {
    return !this.#code.decodableMask(this.#alive);
  }
}

class ListLosses implements Losses {
  readonly #code: LinearCode;
  readonly #blocks: readonly Block[];
  readonly #alive: Set<number>;

  constructor(code: LinearCode, blocks: readonly Block[], gone: Block) {
    this.#code = code;
    this.#blocks = blocks;
    this.#alive = new Set(Array.from({ length: code.totalShards }, (_, shard) => shard));
    for (const shard of gone) this.#alive.delete(shard);
  }

  lose(block: number): void {
    for (const shard of this.#blocks[block]!) this.#alive.delete(shard);
  }

  restore(block: number): void {
    for (const shard of this.#blocks[block]!) this.#alive.add(shard);
  }

  fatal(): boolean {
    return !this.#code.decodable(this.#alive);
  }
}

const maskOf = (block: Block): number => block.reduce((mask, shard) => mask | (1 << shard), 0);
