import { createMemory, type WasmMemory, wasmApi } from '../../core/wasm.ts';
import { cauchyRows } from './generator.ts';
import { portableKernel } from './kernel-portable.ts';
import { wasmKernel } from './kernel-wasm.ts';
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

export interface KernelOptions {
  /** False: native code is not even looked for. */
  readonly native: boolean;
  /** False: WebAssembly is not used to compute. */
  readonly wasm: boolean;
  /** A `WebAssembly.Memory`, the arena; shared if threads share it. */
  readonly memory: WasmMemory;
  /** What is known of programs already. */
  readonly tiles?: TileMemory | undefined;
}

/** Makes a kernel that works in the given arena. */
export type KernelMaker = (memory: WasmMemory, tiles?: TileMemory) => Kernel;

/** The fastest kernel that is allowed and works here. */
export async function selectKernel(options: KernelOptions): Promise<Kernel> {
  for await (const make of workingKernels(options)) return make(options.memory, options.tiles);
  return portableKernel(options.memory);
}

/**
 * All kernels that are allowed, run here, and give the reference's bytes for a trial, the fastest first:
 * WebAssembly, then native (slower, as measured in decision 003), then portable.
 */
export async function* workingKernels(
  allowed: Pick<KernelOptions, 'native' | 'wasm'>,
): AsyncGenerator<KernelMaker> {
  if (allowed.wasm && (await agrees(wasmKernel))) yield wasmKernel;
  const native = allowed.native ? await nativeMaker() : undefined;
  if (native !== undefined && (await agrees(native))) yield native;
  yield portableKernel;
}

/** Undefined where the optional addon is not installed, or there is no Node to load it. */
export async function nativeMaker(): Promise<KernelMaker | undefined> {
  try {
    const { loadAddon, nativeKernel } = await import('./kernel-native.ts');
    const addon = loadAddon();
    return (memory) => nativeKernel(memory, addon);
  } catch {
    return undefined;
  }
}

const TRIAL: ShardProgram = {
  inputs: [0, 1, 2],
  outputs: [3, 4],
  coefficients: cauchyRows(3, 3).slice(1),
  dataShards: 3,
};

/** Whether a kernel runs at all and gives the bytes of the portable one. */
async function agrees(make: KernelMaker): Promise<boolean> {
  if (wasmApi === undefined) return false;
  const results: Uint8Array[] = [];
  const length = 128;
  for (const candidate of [portableKernel, make]) {
    const memory = createMemory(8 * length);
    const bytes = new Uint8Array(memory.buffer);
    for (let i = 0; i < 3 * length; i++) bytes[i] = (i * i + (i >> 5)) & 0xff;
    try {
      await candidate(memory).run(
        TRIAL,
        [0, 1, 2, 3, 4].map((i) => i * length),
        length,
      );
    } catch {
      return false;
    }
    results.push(bytes.slice(0, 8 * length));
  }
  return results[0]!.every((byte, i) => byte === results[1]![i]);
}
