import type { LinearCode } from '../../coding/erasure/linear-code.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { Certificate } from '../certificate.ts';
import type { PlacementProvider } from '../domains.ts';
import { fittedTo } from '../fitted.ts';
import { type Block, eachFatalSet } from '../losses.ts';
import { solvePlacement } from '../solve.ts';
import { DEFAULT_MODEL, type Durability, type DurabilityModel, durability } from './durability.ts';

export interface PlanRequest {
  readonly codes: readonly LinearCode[];
  /** Whether a code takes its shape from the number of providers, as one of the configuration does. Default false. */
  readonly fits?: boolean | undefined;
  /** Numbers of providers, each its own failure domain; 1 to {@link MAX_PLANNED}. */
  readonly providers: readonly number[];
  readonly model?: DurabilityModel | undefined;
}

/** Sets of domains are counted as the bits of one number. */
const MAX_PLANNED = 53;

/** Plain data, as `--json` prints it. */
export interface PlanTable {
  readonly model: DurabilityModel;
  readonly rows: readonly PlanRow[];
}

export interface PlanRow {
  readonly code: string;
  readonly providers: number;
  /** Bytes stored per byte of data. */
  readonly overhead: number;
  readonly tolerates: number;
  readonly worst_case: readonly string[];
  /** Per number of lost providers: how many sets of them there are and how many are fatal. */
  readonly losses: readonly LossCounts[];
  /** Shards read to rebuild one lost shard. */
  readonly reads_per_lost_shard: Reads;
  /** Shards read to rebuild all that one provider held; undefined where that cannot be done. */
  readonly reads_per_lost_provider: (Reads & { readonly shards: number }) | undefined;
  readonly durability: Durability;
}

export interface Reads {
  readonly least: number;
  readonly most: number;
  readonly mean: number;
}

/**
 * What each code does on each number of equal providers. Pure; a row takes up to about a second.
 * @throws HoldfastError `ConfigInvalid` for a number of providers or a model out of range.
 */
export function planTable({ codes, fits = false, providers, model = DEFAULT_MODEL }: PlanRequest): PlanTable {
  const rows = codes.flatMap((code) =>
    providers.map((count) => planRow(fits ? fittedTo(code, count) : code, count, model)),
  );
  return { model, rows };
}

function planRow(code: LinearCode, count: number, model: DurabilityModel): PlanRow {
  const { certificate, slots } = solvePlacement({
    code,
    providers: equalProviders(count),
    failureDomain: 'provider',
  });
  const used = slots.map(({ block }) => block);
  const blocks = [...used, ...Array.from({ length: count - used.length }, () => [])];
  const losses = countLosses(code, blocks, certificate.tolerates);
  const fatal = losses.map(({ fatal, sets }) => fatal / sets);
  return {
    code: code.name,
    providers: count,
    overhead: code.totalShards / code.dataShards,
    tolerates: certificate.tolerates,
    worst_case: certificate.worst_case,
    losses,
    reads_per_lost_shard: readsOf(
      code,
      Array.from({ length: code.totalShards }, (_, shard) => [shard]),
    )!,
    reads_per_lost_provider: readsPerProvider(code, used, certificate),
    durability: durability(count, fatal, model),
  };
}

function equalProviders(count: number): PlacementProvider[] {
  if (!Number.isInteger(count) || count < 1 || count > MAX_PLANNED) {
    throw new HoldfastError('ConfigInvalid', `a plan is for 1 to ${MAX_PLANNED} providers, not ${count}`, {
      operation: 'plan',
    });
  }
  // The scores keep p2 before p10.
  return Array.from({ length: count }, (_, i) => {
    const id = `p${i + 1}`;
    return { id, domain: { provider: id, account: 'default', region: 'unknown' }, score: -i };
  });
}

function readsPerProvider(
  code: LinearCode,
  blocks: readonly Block[],
  { tolerates }: Certificate,
): PlanRow['reads_per_lost_provider'] {
  if (tolerates < 1) return undefined;
  const shards = blocks.reduce((sum, block) => sum + block.length, 0) / blocks.length;
  return { ...readsOf(code, blocks), shards };
}

function readsOf(code: LinearCode, losses: readonly Block[]): Reads {
  const reads = losses.map((lost) => {
    const left = Array.from({ length: code.totalShards }, (_, shard) => shard).filter(
      (s) => !lost.includes(s),
    );
    return code.repairPlan(lost, left).reads.length;
  });
  const mean = reads.reduce((sum, count) => sum + count, 0) / reads.length;
  return { least: Math.min(...reads), most: Math.max(...reads), mean };
}

/** What the loss of any so many domains does to an object that uses every turn of its placement. */
interface LossCounts {
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
function countLosses(code: LinearCode, blocks: readonly Block[], tolerates: number): LossCounts[] {
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
