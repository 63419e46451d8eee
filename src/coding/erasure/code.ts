import { cheapestBasis } from './checks.ts';
import { rankOf } from './elimination.ts';
import { type Generator, generatorOf, type ShardKind } from './generator.ts';
import { type MaskTester, maskTester } from './masks.ts';
import { type CodeParams, validateCodeParams } from './params.ts';
import { planRepair, type RepairPlan } from './repair-plan.ts';
import { shardLengthOf, shardSet } from './shape.ts';

export type { ShardKind } from './generator.ts';
export type { RepairPlan, RepairStep } from './repair-plan.ts';

/** What reading a shard costs, in any unit: finite and at least 0. */
export type ShardCost = (shard: number) => number;

/**
 * A linear code as algebra: which shards say what about which others. Pure and without state; it moves no bytes.
 * Shard numbers run from 0: the data shards, then parity in the order local, global, overlay.
 * Every method that takes shard numbers throws HoldfastError `Corrupt` (code `bad_shards`) for a number out of
 * range or named twice.
 */
export interface LinearCode {
  readonly params: CodeParams;
  /** For people and metrics, e.g. `lrc(16+5+3+3w)`. */
  readonly name: string;
  /** K. */
  readonly dataShards: number;
  /** N. */
  readonly totalShards: number;
  /** One row per shard: its coefficients over GF(2^8) on the data shards. */
  readonly generator: readonly Uint8Array[];

  kindOf(shard: number): ShardKind;

  /** Bytes of a shard of a chunk that the caller pads with zeros to `K × shardLength`: a multiple of 512. */
  shardLength(frameBytes: number): number;

  /** How many independent shards are among these; all data can be had exactly when it is `dataShards`. */
  rank(available: Iterable<number>): number;
  decodable(available: Iterable<number>): boolean;
  /** The same on a bit mask (bit i: shard i is there), without allocation. For codes of at most 32 shards. */
  decodableMask(mask: number): boolean;

  /**
   * The cheapest way to have the missing shards again.
   * @throws HoldfastError `Unavailable` (code `undecodable`) when they cannot be had: its hint lists what would do.
   */
  repairPlan(missing: Iterable<number>, available: Iterable<number>, cost?: ShardCost): RepairPlan;

  /**
   * The shards to read for all data at the least total cost, ascending; undefined when the available ones do not
   * decode. Between equal costs data shards win, so that nothing needs decoding where all of them are there.
   */
  cheapestDecodable(available: Iterable<number>, cost?: ShardCost): number[] | undefined;
}

/** @throws HoldfastError `ConfigInvalid` for parameters that make no code. */
export function createLinearCode(params: CodeParams): LinearCode {
  validateCodeParams(params);
  return new GeneratorCode(params, generatorOf(params));
}

class GeneratorCode implements LinearCode {
  readonly params: CodeParams;
  readonly name: string;
  readonly dataShards: number;
  readonly totalShards: number;
  readonly generator: readonly Uint8Array[];
  readonly #kinds: readonly ShardKind[];
  readonly #masks: MaskTester | undefined;

  constructor(params: CodeParams, { rows, kinds }: Generator) {
    this.params = Object.freeze({ ...params });
    this.name = nameOf(params);
    this.dataShards = rows[0]!.length;
    this.totalShards = rows.length;
    this.generator = rows;
    this.#kinds = kinds;
    this.#masks = rows.length <= 32 ? maskTester(this.dataShards, rows.slice(this.dataShards)) : undefined;
  }

  kindOf(shard: number): ShardKind {
    const [index] = shardSet([shard], this.totalShards);
    return this.#kinds[index!]!;
  }

  shardLength(frameBytes: number): number {
    return shardLengthOf(frameBytes, this.dataShards);
  }

  rank(available: Iterable<number>): number {
    const shards = shardSet(available, this.totalShards);
    const known = new Set(shards);
    const lost = Array.from({ length: this.dataShards }, (_, i) => i).filter((i) => !known.has(i));
    const parity = shards.filter((shard) => shard >= this.dataShards).map((shard) => this.generator[shard]!);
    return this.dataShards - lost.length + rankOf(parity, lost);
  }

  decodable(available: Iterable<number>): boolean {
    if (this.#masks === undefined) return this.rank(available) === this.dataShards;
    let mask = 0;
    for (const shard of shardSet(available, this.totalShards)) mask |= 1 << shard;
    return this.#masks.decodable(mask);
  }

  decodableMask(mask: number): boolean {
    if (this.#masks === undefined)
      throw new TypeError(`${this.name} has more than 32 shards: no mask holds them`);
    return this.#masks.decodable(mask);
  }

  repairPlan(missing: Iterable<number>, available: Iterable<number>, cost?: ShardCost): RepairPlan {
    const have = shardSet(available, this.totalShards);
    const wanted = shardSet(missing, this.totalShards);
    return planRepair(this, wanted, have, cost ?? (() => 1));
  }

  cheapestDecodable(available: Iterable<number>, cost: ShardCost = () => 1): number[] | undefined {
    const basis = cheapestBasis(this, shardSet(available, this.totalShards), cost);
    return basis.length === this.dataShards ? basis.sort((a, b) => a - b) : undefined;
  }
}

function nameOf(params: CodeParams): string {
  switch (params.algorithm) {
    case 'lrc': {
      const overlay =
        params.fountainKind === 'none' ? '' : `+${params.fountainShards}${params.fountainKind[0]}`;
      return `lrc(${params.dataShards}+${params.localParity}+${params.globalParity}${overlay})`;
    }
    case 'replica':
      return `replica(${params.copies})`;
    default:
      return `${params.algorithm}(${params.dataShards}+${params.parityShards})`;
  }
}
