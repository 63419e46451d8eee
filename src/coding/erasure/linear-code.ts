import type { ShardKind } from './generator.ts';
import type { CodeParams } from './params.ts';

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

export interface RepairPlan {
  /** Every shard to read, ascending, each once. */
  readonly reads: readonly number[];
  readonly steps: readonly RepairStep[];
}

/** One shard and what it comes from: shards read, or rebuilt by an earlier step. */
export interface RepairStep {
  readonly shard: number;
  readonly from: readonly number[];
  /** `local`: the rest of its group. `sum`: parities that add up to it. `solve`: a linear system with factors. */
  readonly why: 'local' | 'sum' | 'solve';
}
