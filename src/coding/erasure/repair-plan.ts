import { HoldfastError } from '../../core/errors.ts';
import { cheapestBasis, checksFor } from './checks.ts';
import { express } from './elimination.ts';
import type { LinearCode, RepairPlan, RepairStep, ShardCost } from './linear-code.ts';

interface Draft {
  readonly steps: readonly RepairStep[];
  readonly reads: ReadonlySet<number>;
}

/**
 * Rebuilds through checks of few shards as far as those go and solves for the rest, or solves for everything at once:
 * whichever reads less. One missing shard of a group costs its neighbours and their parity, nothing more.
 */
export function planRepair(
  code: LinearCode,
  missing: readonly number[],
  available: readonly number[],
  cost: ShardCost,
): RepairPlan {
  const have = available.filter((shard) => !missing.includes(shard));
  const nothing: Draft = { steps: [], reads: new Set() };
  const solved = bySolving(code, missing, have, cost, nothing);
  if (solved === undefined) throw undecodable(code, missing, have);
  const checked = byChecks(code, missing, have, cost);
  const done = new Set(checked.steps.map((step) => step.shard));
  const left = missing.filter((shard) => !done.has(shard));
  const mixed = left.length === 0 ? checked : bySolving(code, left, have, cost, checked);
  const total = (draft: Draft): number => [...draft.reads].reduce((sum, shard) => sum + cost(shard), 0);
  const best = mixed !== undefined && total(mixed) <= total(solved) ? mixed : solved;
  return { reads: [...best.reads].sort((a, b) => a - b), steps: best.steps };
}

/** Takes the step that reads the least more, again and again, until none is left or no check has a single gap. */
function byChecks(
  code: LinearCode,
  missing: readonly number[],
  have: readonly number[],
  cost: ShardCost,
): Draft {
  const readable = new Set(have);
  const free = new Set<number>();
  const left = new Set(missing);
  const reads = new Set<number>();
  const steps: RepairStep[] = [];
  const checks = checksFor(code, missing);
  for (;;) {
    let best: RepairStep | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const { shards, plain } of checks) {
      const [shard, another] = shards.filter((member) => left.has(member));
      if (shard === undefined || another !== undefined) continue;
      const from = shards.filter((member) => member !== shard);
      if (!from.every((member) => free.has(member) || readable.has(member))) continue;
      const price = from.reduce((total, member) => total + (free.has(member) ? 0 : cost(member)), 0);
      if (price < least || (price === least && from.length < best!.from.length)) {
        best = { shard, from, why: reasonOf(code, shards, plain) };
        least = price;
      }
    }
    if (best === undefined) return { steps, reads };
    for (const member of best.from) {
      free.add(member);
      if (readable.has(member)) reads.add(member);
    }
    left.delete(best.shard);
    free.add(best.shard);
    steps.push(best);
  }
}

function reasonOf(code: LinearCode, check: readonly number[], plain: boolean): RepairStep['why'] {
  if (!plain) return 'solve';
  const [parity, another] = check.filter((shard) => shard >= code.dataShards);
  return another === undefined && code.kindOf(parity!) === 'local' ? 'local' : 'sum';
}

/** From the cheapest independent shards, those read or rebuilt before being free; none is read that no row needs. */
function bySolving(
  code: LinearCode,
  missing: readonly number[],
  have: readonly number[],
  cost: ShardCost,
  before: Draft,
): Draft | undefined {
  const rebuilt = before.steps.map((step) => step.shard);
  const free = new Set([...before.reads, ...rebuilt]);
  const sources = cheapestBasis(code, [...have, ...rebuilt], (shard) => (free.has(shard) ? 0 : cost(shard)));
  if (sources.length === 0 && missing.length > 0) return undefined;
  const rows = express(
    missing.map((shard) => code.generator[shard]!),
    sources.map((shard) => code.generator[shard]!),
  );
  if (rows === undefined) return undefined;
  const steps = rows.map((row, i): RepairStep => {
    const from = sources.filter((_, s) => row[s] !== 0).sort((a, b) => a - b);
    return { shard: missing[i]!, from, why: 'solve' };
  });
  const used = steps.flatMap((step) => step.from).filter((shard) => !rebuilt.includes(shard));
  return { steps: [...before.steps, ...steps], reads: new Set([...before.reads, ...used]) };
}

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
