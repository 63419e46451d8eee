import { type OnUnfit, WRONG_BYTES } from '../../core/acceleration.ts';
import { countingBytes } from '../../core/bytes.ts';
import { createMemory, type WasmMemory, wasmApi } from '../../core/wasm.ts';
import { cauchyRows } from './generator.ts';
import type { Kernel, KernelName, ShardProgram } from './kernel.ts';
import { portableKernel } from './kernel-portable.ts';
import { wasmKernel } from './kernel-wasm.ts';
import type { TileMemory } from './xor-program.ts';

export interface KernelOptions {
  /** False: native code is not even looked for. */
  readonly native: boolean;
  /** False: WebAssembly is not used to compute. */
  readonly wasm: boolean;
  /** A `WebAssembly.Memory`, the arena; shared if threads share it. */
  readonly memory: WasmMemory;
  /** What is known of programs already. */
  readonly tiles?: TileMemory | undefined;
  /** Told of kernels that are there and give other bytes than the reference. */
  readonly onUnfit?: OnUnfit | undefined;
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
  allowed: Pick<KernelOptions, 'native' | 'wasm' | 'onUnfit'>,
): AsyncGenerator<KernelMaker> {
  const fits = async (name: KernelName, make: KernelMaker): Promise<boolean> => {
    const right = await agrees(make);
    if (!right) allowed.onUnfit?.('erasure kernel', name, WRONG_BYTES);
    return right;
  };
  if (wasmApi !== undefined) {
    if (allowed.wasm && (await fits('wasm', wasmKernel))) yield wasmKernel;
    const native = allowed.native ? await nativeMaker() : undefined;
    if (native !== undefined && (await fits('native', native))) yield native;
  }
  yield portableKernel;
}

/**
 * Undefined where the optional addon is not installed, or there is no Node to load it.
 * @internal Tests compare the twins.
 */
export async function nativeMaker(): Promise<KernelMaker | undefined> {
  try {
    const { loadAddon, nativeKernel } = await import('./kernel-native.ts');
    const addon = loadAddon();
    return (memory) => nativeKernel(memory, addon);
  } catch {
    return undefined;
  }
}

const LONGEST = 8192;

/** Bits told apart, and whole shards added up; over few data shards, and over so many that packets are halved. */
const TRIALS: readonly (ShardProgram & { readonly lengths: readonly number[] })[] = [
  { ...trial(cauchyRows(3, 3).slice(1), 3), lengths: [512, 1536] },
  { ...trial([Uint8Array.of(1, 1, 1), Uint8Array.of(1, 0, 1)], 3), lengths: [512, 4096] },
  { ...trial(cauchyRows(3, 3).slice(1), 254), lengths: [LONGEST] },
];

function trial(coefficients: readonly Uint8Array[], dataShards: number): ShardProgram {
  return { inputs: [0, 1, 2], outputs: [3, 4], coefficients, dataShards };
}

/** Whether a kernel gives the bytes of the portable one and writes nowhere else. It costs some milliseconds. */
async function agrees(make: KernelMaker): Promise<boolean> {
  const memories = [portableKernel, make].map((candidate) => {
    const memory = createMemory(8 * LONGEST);
    const bytes = new Uint8Array(memory.buffer);
    bytes.set(countingBytes(bytes.length, 251));
    return { bytes, kernel: candidate(memory) };
  });
  const [reference, found] = memories.map(({ bytes }) => bytes);
  for (const { lengths, ...program } of TRIALS) {
    for (const length of lengths) {
      const offsets = [0, 1, 2, 3, 4].map((i) => i * length);
      try {
        for (const { kernel } of memories) await kernel.run(program, offsets, length);
      } catch {
        return false;
      }
      if (Buffer.compare(reference!, found!) !== 0) return false;
    }
  }
  return true;
}
