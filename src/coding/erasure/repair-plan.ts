import { type LinearCode, type ShardCost, undecodable } from './code.ts';
import { Basis, express } from './elimination.ts';

export interface RepairPlan {
  /** Every shard to read, ascending, each once. */
  readonly reads: readonly number[];
  readonly steps: readonly RepairStep[];
}

/** One shard and what it comes from: shards read, or rebuilt by an earlier step. */
export interface RepairStep {
  readonly shard: number;
  readonly from: readonly number[];
  /** `sum`: they add up to zero together (a local group, an overlay, or several of them). `solve`: a linear system. */
  readonly why: 'sum' | 'solve';
}

interface Candidate {
  readonly steps: readonly RepairStep[];
  readonly reads: ReadonlySet<number>;
  readonly cost: number;
}

/**
 * Rebuilds through sums of few shards where that works and is cheaper, otherwise through the cheapest independent
 * set of shards that spans what is missing.
 */
export function planRepair(
  code: LinearCode,
  missing: readonly number[],
  available: readonly number[],
  cost: ShardCost,
): RepairPlan {
  const have = available.filter((shard) => !missing.includes(shard));
  const candidates = [bySums(code, missing, have, cost), bySolving(code, missing, have, cost)];
  const best = candidates
    .filter((c) => c !== undefined)
    .sort((a, b) => a.cost - b.cost || a.reads.size - b.reads.size)[0];
  if (best === undefined) throw undecodable(code, missing, have);
  return { reads: [...best.reads].sort((a, b) => a - b), steps: best.steps };
}

/** Repeats the cheapest single step until all is rebuilt. */
function bySums(
  code: LinearCode,
  missing: readonly number[],
  have: readonly number[],
  cost: ShardCost,
): Candidate | undefined {
  const sums = zeroSums(code);
  const readable = new Set(have);
  const reads = new Set<number>();
  const rebuilt = new Set<number>();
  const left = new Set(missing);
  const steps: RepairStep[] = [];
  let total = 0;
  while (left.size > 0) {
    let best: { step: RepairStep; price: number } | undefined;
    for (const sum of sums) {
      const open = sum.filter((shard) => left.has(shard));
      if (open.length !== 1) continue;
      const from = sum.filter((shard) => shard !== open[0]);
      if (!from.every((shard) => rebuilt.has(shard) || readable.has(shard))) continue;
      let price = 0;
      for (const shard of from) if (!rebuilt.has(shard) && !reads.has(shard)) price += cost(shard);
      if (
        best === undefined ||
        price < best.price ||
        (price === best.price && from.length < best.step.from.length)
      ) {
        best = { step: { shard: open[0]!, from, why: 'sum' }, price };
      }
    }
    if (best === undefined) return undefined;
    for (const shard of best.step.from) if (!rebuilt.has(shard)) reads.add(shard);
    left.delete(best.step.shard);
    rebuilt.add(best.step.shard);
    steps.push(best.step);
    total += best.price;
  }
  return { steps, reads, cost: total };
}

/** From the cheapest basis of what is there; shards of it that no missing one needs are not read. */
function bySolving(
  code: LinearCode,
  missing: readonly number[],
  have: readonly number[],
  cost: ShardCost,
): Candidate | undefined {
  const order = have.map((shard) => ({ shard, cost: cost(shard) }));
  order.sort((a, b) => a.cost - b.cost || a.shard - b.shard);
  const basis = new Basis(code.dataShards);
  const chosen = order
    .filter(({ shard }) => basis.add(code.generator[shard]!.slice()))
    .map(({ shard }) => shard);
  const rows = express(
    missing.map((shard) => code.generator[shard]!),
    chosen.map((shard) => code.generator[shard]!),
  );
  if (rows === undefined) return undefined;
  const steps = rows.map((row, i): RepairStep => {
    const from = chosen.filter((_, c) => row[c] !== 0).sort((a, b) => a - b);
    return { shard: missing[i]!, from, why: 'solve' };
  });
  const reads = new Set(steps.flatMap((step) => [...step.from]));
  return { steps, reads, cost: [...reads].reduce((sum, shard) => sum + cost(shard), 0) };
}

const MAX_COMBINED = 10;
const known = new WeakMap<LinearCode, readonly (readonly number[])[]>();

/**
 * Sets of shards whose plain XOR is zero: every parity that is one, with its members, and sums of several of them
 * while there are few. Derived once per code.
 */
function zeroSums(code: LinearCode): readonly (readonly number[])[] {
  const cached = known.get(code);
  if (cached) return cached;
  const single = code.generator
    .map((row, shard) => ({ row, shard }))
    .filter(({ row, shard }) => shard >= code.dataShards && row.every((element) => element <= 1))
    .map(({ row, shard }) => [...row.keys()].filter((c) => row[c] === 1).concat(shard));
  let sums: number[][] = [];
  for (const set of single) {
    const combined =
      sums.length < 2 ** MAX_COMBINED ? sums.map((other) => symmetricDifference(other, set)) : [];
    sums = [...sums, set, ...combined];
  }
  known.set(code, sums);
  return sums;
}

function symmetricDifference(a: readonly number[], b: readonly number[]): number[] {
  const out = new Set(a);
  for (const shard of b) if (!out.delete(shard)) out.add(shard);
  return [...out].sort((x, y) => x - y);
}
