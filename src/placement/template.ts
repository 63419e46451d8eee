import type { LinearCode } from '../coding/erasure/linear-code.ts';
import { type Block, countFatalSets, eachFatalSet, isMds } from './losses.ts';

/** How the shards of a chunk are parted, whoever then takes the parts. */
export interface Template {
  /** Each shard in exactly one block; the larger blocks first. */
  readonly blocks: readonly Block[];
}

const MAX_CACHED = 64;
const cache = new WeakMap<LinearCode, Map<string, Template>>();

/**
 * A partition of the code's shards into blocks of the given sizes that lets as many of them vanish as the search
 * can find. The same arguments give the same template, in every process. Kept per code, the last 64 used.
 * @param sizes descending, each at least 1; their sum is the number of shards.
 */
export function templateFor(code: LinearCode, sizes: readonly number[]): Template {
  const known = cache.get(code) ?? new Map<string, Template>();
  cache.set(code, known);
  const key = sizes.join();
  const template = known.get(key) ?? { blocks: solve(code, sizes) };
  known.delete(key);
  known.set(key, template);
  for (const oldest of known.keys()) {
    if (known.size <= MAX_CACHED) break;
    known.delete(oldest);
  }
  return template;
}

/** Rank tests per search, a tenth of a microsecond each. Codes beyond 32 shards test much slower and get fewer. */
const SEARCH_TESTS = 1_500_000;
const SLOW_SEARCH_TESTS = 2_000;
const POLISH_TESTS = 150_000;
/** Swaps in a row that bring nothing before a search gives up. */
const MAX_STALL = 300;
/** A start with more fatal sets than this is not worth improving. */
const HOPELESS = 2_000;

function solve(code: LinearCode, sizes: readonly number[]): Block[] {
  const dealt = deal(code.totalShards, sizes);
  if (isMds(code) || sizes[0] === 1) return dealt;
  const fast = code.totalShards <= 32;
  for (let losses = mostLosses(code, sizes); losses > 0; losses--) {
    const search = new Search(code, dealt, losses, seedOf(sizes));
    if (!search.run(fast ? SEARCH_TESTS : SLOW_SEARCH_TESTS)) continue;
    return fast ? polish(code, search.blocks, losses, seedOf(sizes)) : search.blocks;
  }
  return dealt;
}

/** Round-robin, passing over blocks that are full. */
function deal(shards: number, sizes: readonly number[]): Block[] {
  const blocks: number[][] = sizes.map(() => []);
  let next = 0;
  for (let shard = 0; shard < shards; shard++) {
    while (blocks[next % sizes.length]!.length === sizes[next % sizes.length]!) next++;
    blocks[next++ % sizes.length]!.push(shard);
  }
  return blocks;
}

/** No code survives the loss of more than `totalShards − dataShards` shards: so many largest blocks at most. */
function mostLosses(code: LinearCode, sizes: readonly number[]): number {
  let left = code.totalShards - code.dataShards;
  let losses = 0;
  for (const size of sizes) {
    left -= size;
    if (left < 0) break;
    losses++;
  }
  return losses;
}

/** Fewer fatal sets of one block more than is tolerated, while all smaller sets stay harmless. */
function polish(code: LinearCode, start: readonly Block[], losses: number, seed: number): Block[] {
  const search = new Search(code, start, losses + 1, seed);
  search.run(POLISH_TESTS, (blocks) => countFatalSets(code, blocks, [], losses, { fatal: 0 }).fatal === 0);
  return search.blocks;
}

/** Swaps shards between blocks, as long as that makes no more sets of `size` blocks fatal. */
class Search {
  blocks: Block[];
  readonly #code: LinearCode;
  readonly #size: number;
  #random: number;
  #fatal = 0;
  #tests = 0;

  constructor(code: LinearCode, start: readonly Block[], size: number, seed: number) {
    this.#code = code;
    this.#size = size;
    this.#random = seed;
    this.blocks = [...start];
  }

  /** @returns whether no set of the size is fatal any more. */
  run(maxTests: number, accept: (blocks: readonly Block[]) => boolean = () => true): boolean {
    this.#fatal = this.#count(this.blocks, { fatal: HOPELESS, tests: maxTests / 10 });
    const hopeless = this.#fatal > HOPELESS || this.#fatal === this.#tests || this.#tests > maxTests / 10;
    if (hopeless) return false;
    for (let stall = 0; this.#fatal > 0 && stall < MAX_STALL && this.#tests < maxTests; stall++) {
      const candidate = this.#swapped();
      const fatal = this.#count(candidate, { fatal: this.#fatal });
      if (fatal > this.#fatal || !accept(candidate)) continue;
      if (fatal < this.#fatal) stall = 0;
      this.blocks = candidate;
      this.#fatal = fatal;
    }
    return this.#fatal === 0;
  }

  #count(blocks: readonly Block[], limit: { readonly fatal: number; readonly tests?: number }): number {
    const { fatal, tests } = countFatalSets(this.#code, blocks, [], this.#size, limit);
    this.#tests += tests;
    return fatal;
  }

  /** A shard of a fatal set for one outside of it. There is an outside, else all sets would be fatal. */
  #swapped(): Block[] {
    const inside = this.#someFatalSet();
    const outside = [...this.blocks.keys()].filter((block) => !inside.includes(block));
    const [from, to] = [inside[this.#draw(inside.length)]!, outside[this.#draw(outside.length)]!];
    const [a, b] = [[...this.blocks[from]!], [...this.blocks[to]!]];
    const [i, j] = [this.#draw(a.length), this.#draw(b.length)];
    [a[i], b[j]] = [b[j]!, a[i]!];
    return this.blocks.map((block, at) => (at === from ? a : at === to ? b : block));
  }

  #someFatalSet(): readonly number[] {
    let found: readonly number[] = [];
    let skip = this.#draw(this.#fatal);
    this.#tests += eachFatalSet(this.#code, this.blocks, [], this.#size, (set) => {
      found = [...set];
      return skip-- === 0 ? 'stop' : 'go on';
    });
    return found;
  }

  /** A linear congruential generator: the search must be the same everywhere. */
  #draw(bound: number): number {
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#random / 2 ** 32) * bound);
  }
}

const seedOf = (sizes: readonly number[]): number =>
  sizes.reduce((seed, size) => Math.imul(seed, 31) + size, 1);
