import { HoldfastError } from '../../core/errors.ts';
import type { LinearCode } from './linear-code.ts';

const MAX_ADVICE = 64;

/**
 * The error for shards that cannot be had again. For codes of at most 32 shards its hint lists each absent shard, or
 * if no single one does each pair, that would make everything decodable; always how much rank is short.
 */
export function undecodable(
  code: LinearCode,
  missing: readonly number[],
  available: readonly number[],
): HoldfastError {
  const rank = code.rank(available);
  const short = code.dataShards - rank;
  const helpful = code.totalShards <= 32 && short <= 2 ? helpfulSets(code, available) : [];
  const hint =
    helpful.length > 0
      ? `any one of these would do: ${helpful.map((set) => set.join('+')).join(', ')}`
      : `at least ${short} more shards are needed`;
  return new HoldfastError(
    'Unavailable',
    `${code.name}: shards ${missing.join(', ')} cannot be rebuilt from the ${available.length} that are there`,
    {
      code: 'undecodable',
      hint,
      context: { missing, available, rank, needed: code.dataShards, helpful },
    },
  );
}

function helpfulSets(code: LinearCode, available: readonly number[]): number[][] {
  const have = available.reduce((mask, shard) => mask | (1 << shard), 0);
  const absent = Array.from({ length: code.totalShards }, (_, i) => i).filter((i) => !available.includes(i));
  const works = (set: readonly number[]): boolean =>
    code.decodableMask(set.reduce((mask, shard) => mask | (1 << shard), have));
  const singles = absent.map((shard) => [shard]).filter(works);
  const pairs = absent.flatMap((a, i) => absent.slice(i + 1).map((b) => [a, b]));
  return singles.length > 0 ? singles : pairs.filter(works).slice(0, MAX_ADVICE);
}
