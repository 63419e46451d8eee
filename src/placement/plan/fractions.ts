import type { LinearCode } from '../../coding/erasure/linear-code.ts';
import { type Block, eachFatalSet } from '../losses.ts';

/** What the loss of any so many domains does to an object that uses every turn of its placement. */
export interface LossCounts {
  readonly lost: number;
  /** Sets of this many domains, and how many of them are fatal to at least one chunk. */
  readonly sets: number;
  readonly fatal: number;
}

/** Counting ends this far beyond what is tolerated, or before too many sets: more losses hardly ever coincide. */
const LEVELS_BEYOND = 3;
const MAX_SETS = 1_000_000;

/**
 * Counts, for 0, 1, 2, … lost domains, the sets that are fatal; exact, none is sampled. Ends where all are.
 * @param blocks what the domains hold of the first chunk; chunk by chunk the blocks move on by one domain.
 */
export function countLosses(code: LinearCode, blocks: readonly Block[], tolerates: number): LossCounts[] {
  const counts: LossCounts[] = [];
  for (let lost = 0; lost <= blocks.length; lost++) {
    const sets = binomial(blocks.length, lost);
    if (lost > tolerates && (lost > tolerates + LEVELS_BEYOND || sets > MAX_SETS)) break;
    const fatal = lost <= tolerates ? 0 : fatalInAnyTurn(code, blocks, lost);
    counts.push({ lost, sets, fatal });
    if (fatal === sets) break;
  }
  return counts;
}

function fatalInAnyTurn(code: LinearCode, blocks: readonly Block[], lost: number): number {
  const found = new Set<number>();
  eachFatalSet(code, blocks, [], lost, (set) => {
    for (let turn = 0; turn < blocks.length; turn++) {
      let key = 0;
      for (const domain of set) key += 2 ** ((domain + turn) % blocks.length);
      found.add(key);
    }
    return 'go on';
  });
  return found.size;
}

function binomial(n: number, k: number): number {
  let product = 1;
  for (let i = 1; i <= k; i++) product = (product * (n - k + i)) / i;
  return Math.round(product);
}
