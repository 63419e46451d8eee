import { Basis, express } from './elimination.ts';
import type { LinearCode, ShardCost } from './linear-code.ts';

/** Shards of which any one follows from the others. */
export interface Check {
  readonly shards: readonly number[];
  /** They add up to zero as they are; otherwise they do so with factors. */
  readonly plain: boolean;
}

const MAX_COMBINED = 10;
const SEARCHED_SHARDS = 32;
const TRIES = 500;
const KEPT = 12;

const plainOf = memo(plainChecks);
const sparseOf = memo(sparseChecks);

/** The light checks of a code that may help to rebuild these shards; searched for when first needed. */
export function checksFor(code: LinearCode, missing: readonly number[]): readonly Check[] {
  const sumsOnly = missing.every((shard) => isSum(code.generator[shard]!));
  return sumsOnly ? plainOf(code) : [...plainOf(code), ...sparseOf(code)];
}

function memo(derive: (code: LinearCode) => Check[]): (code: LinearCode) => readonly Check[] {
  const known = new WeakMap<LinearCode, Check[]>();
  return (code) => {
    const checks = known.get(code) ?? derive(code);
    known.set(code, checks);
    return checks;
  };
}

/** Every parity that is a plain sum, with its members, and what several of those add up to, while they are few. */
function plainChecks(code: LinearCode): Check[] {
  let sums: number[][] = [];
  for (const [shard, row] of code.generator.entries()) {
    if (shard < code.dataShards || !isSum(row)) continue;
    const sum = [...row.keys()].filter((c) => row[c] === 1).concat(shard);
    const combined =
      sums.length < 2 ** MAX_COMBINED ? sums.map((other) => symmetricDifference(other, sum)) : [];
    sums = [...sums, sum, ...combined];
  }
  return sums.map((shards) => ({ shards, plain: true }));
}

function symmetricDifference(a: readonly number[], b: readonly number[]): number[] {
  const out = new Set(a);
  for (const shard of b) if (!out.delete(shard)) out.add(shard);
  return [...out].sort((x, y) => x - y);
}

/**
 * Light checks through each global parity, which stands for all data and yet can often be had from fewer shards.
 * Found by expressing it in many bases, drawn by a fixed generator (information-set decoding).
 */
function sparseChecks(code: LinearCode): Check[] {
  if (code.params.algorithm !== 'lrc' || code.totalShards > SEARCHED_SHARDS) return [];
  const found = new Map<string, number[]>();
  let state = 1;
  const draw = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state;
  };
  for (const [shard, row] of code.generator.entries()) {
    if (isSum(row)) continue;
    const others = [...code.generator.keys()].filter((other) => other !== shard);
    const checks: number[][] = [];
    for (let i = 0; i < TRIES; i++) {
      // Locals always, because one stands for a whole group.
      const basis = cheapestBasis(code, others, (other) => (code.kindOf(other) === 'local' ? 0 : draw()));
      const factors = express(
        [row],
        basis.map((other) => code.generator[other]!),
      )?.[0];
      if (factors === undefined) break;
      checks.push([shard, ...basis.filter((_, b) => factors[b] !== 0)].sort((a, b) => a - b));
    }
    checks.sort((a, b) => a.length - b.length);
    for (const check of checks.slice(0, KEPT)) found.set(check.join(), check);
  }
  return [...found.values()].map((shards) => ({ shards, plain: false }));
}

/**
 * Independent shards, as many as there are, at the least total cost: independent rows are a matroid, so taking the
 * cheapest that adds rank is optimal. Between equals plain sums come first, because they decode faster.
 */
export function cheapestBasis(code: LinearCode, shards: readonly number[], cost: ShardCost): number[] {
  const order = shards.map((shard) => ({
    shard,
    cost: cost(shard),
    plain: isSum(code.generator[shard]!) ? 0 : 1,
  }));
  order.sort((a, b) => a.cost - b.cost || a.plain - b.plain || a.shard - b.shard);
  const basis = new Basis(code.dataShards);
  return order.filter(({ shard }) => basis.add(code.generator[shard]!.slice())).map(({ shard }) => shard);
}

const isSum = (row: Uint8Array): boolean => row.every((element) => element <= 1);
