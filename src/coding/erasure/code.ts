import { cheapestBasis } from './checks.ts';
import { rankOf } from './elimination.ts';
import { type Generator, generatorOf, type ShardKind } from './generator.ts';
import type { LinearCode, RepairPlan, ShardCost } from './linear-code.ts';
import { type MaskTester, maskTester } from './masks.ts';
import { type CodeParams, validateCodeParams } from './params.ts';
import { planRepair } from './repair-plan.ts';
import { shardLengthOf, shardSet } from './shape.ts';

const MAX_KNOWN = 64;
const known = new Map<string, LinearCode>();

/**
 * The same for the same parameters, as far as it is remembered: every segment asks for its code, and what others remember of a
 * code, as the checks that repair searches for, they look up by it. @throws HoldfastError `ConfigInvalid` for parameters that make no
 * code.
 */
export function createLinearCode(params: CodeParams): LinearCode {
  validateCodeParams(params);
  const key = JSON.stringify(params);
  const code = known.get(key) ?? new GeneratorCode(params, generatorOf(params));
  if (!known.has(key) && known.size >= MAX_KNOWN) known.delete(known.keys().next().value!);
  known.set(key, code);
  return code;
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
