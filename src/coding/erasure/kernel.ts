import type { WasmMemory } from '../../core/wasm.ts';
import { portableKernel } from './kernel-portable.ts';
import type { ShardProgram } from './program.ts';

/**
 * Runs shard programs in place in one arena, a `WebAssembly.Memory` that may be shared between threads. It writes
 * the outputs' bytes and nothing else in the arena, so any number of kernels in any threads may work in it at once
 * as long as no one's outputs are another's inputs or outputs. All kernels give the same bytes.
 */
export interface Kernel {
  readonly name: KernelName;
  /**
   * @param offsets byte offset in the arena of each shard, by shard number; multiples of 16, and a shard's bytes
   * overlap no other's. Only those of shards that the program names are looked at.
   * @param shardLength bytes, a multiple of 512.
   */
  run(program: ShardProgram, offsets: ShardOffsets, shardLength: number): void | Promise<void>;
}

export type KernelName = 'portable' | 'wasm' | 'native';
export type ShardOffsets = ArrayLike<number>;

export interface KernelOptions {
  /** False: native code is not even looked for. */
  readonly native: boolean;
  /** False: WebAssembly is not used to compute. */
  readonly wasm: boolean;
  readonly memory: WasmMemory;
}

/** The fastest kernel that is allowed and works here. */
export async function selectKernel(options: KernelOptions): Promise<Kernel> {
  return portableKernel(options.memory);
}
