import type { WasmMemory } from '../../core/wasm.ts';
import { express } from './elimination.ts';
import type { LinearCode } from './linear-code.ts';

/**
 * Runs shard programs in place in one arena, a `WebAssembly.Memory` that may be shared between threads. It writes
 * the outputs' bytes and nothing else in the arena, so any number of kernels in any threads may work in it at once
 * as long as no one's outputs are another's inputs or outputs. All kernels give the same bytes.
 */
export interface Kernel {
  readonly name: KernelName;
  readonly memory: WasmMemory;
  /**
   * Trusts its caller, the coder, with the numbers.
   * @param offsets byte offset in the arena of each shard, by shard number: multiples of 16, inside the arena, and
   * no shard's bytes overlap another's. Only those of shards that the program names are looked at.
   * @param shardLength bytes, a length that the code allows.
   */
  run(program: ShardProgram, offsets: ShardOffsets, shardLength: number): void | Promise<void>;
}

export type KernelName = 'portable' | 'wasm' | 'native';
export type ShardOffsets = ArrayLike<number>;

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
