import type { WasmMemory } from '../../core/wasm.ts';
import type { ShardProgram } from './program.ts';
import type { TileMemory } from './tile-memory.ts';

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

/** Makes a kernel that works in the given arena. */
export type KernelMaker = (memory: WasmMemory, tiles?: TileMemory) => Kernel;
