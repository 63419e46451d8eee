import { express } from './elimination.ts';
import type { LinearCode } from './linear-code.ts';

/**
 * A linear map between shards: `outputs[i]` becomes the sum over `j` of `coefficients[i][j]` times `inputs[j]`.
 * Encoding, decoding and rebuilding are all one of these; a kernel turns it into XORs of packets.
 */
export interface ShardProgram {
  /** Shard numbers, read only. */
  readonly inputs: readonly number[];
  /** Shard numbers, written; none of them is an input. */
  readonly outputs: readonly number[];
  /** Over GF(2^8), one row per output, one element per input. */
  readonly coefficients: readonly Uint8Array[];
  /** K of the code: the packet length depends on it. */
  readonly dataShards: number;
}

export function encodeProgram(code: LinearCode): ShardProgram {
  const { dataShards, totalShards, generator } = code;
  return {
    inputs: Array.from({ length: dataShards }, (_, i) => i),
    outputs: Array.from({ length: totalShards - dataShards }, (_, i) => dataShards + i),
    coefficients: generator.slice(dataShards),
    dataShards,
  };
}

/** @param reads shards that span the missing ones, as a repair plan names them. */
export function rebuildProgram(
  code: LinearCode,
  missing: readonly number[],
  reads: readonly number[],
): ShardProgram {
  const rowsOf = (shards: readonly number[]): Uint8Array[] => shards.map((shard) => code.generator[shard]!);
  const coefficients = express(rowsOf(missing), rowsOf(reads));
  if (coefficients === undefined) throw new TypeError('the shards read do not span the missing ones');
  return { inputs: reads, outputs: missing, coefficients, dataShards: code.dataShards };
}
