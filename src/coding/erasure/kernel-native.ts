import { createRequire } from 'node:module';
import type { WasmMemory } from '../../core/wasm.ts';
import { bitRows } from './gf256.ts';
import type { Kernel, ShardOffsets } from './kernel.ts';
import { portableKernel } from './kernel-portable.ts';

/** `@ronomon/reed-solomon` 6. Its encoder takes any bit matrix over eight bits, not just those it makes itself. */
interface Addon {
  readonly MAX_K: number;
  readonly MAX_M: number;
  encode(
    context: Buffer,
    sources: number,
    targets: number,
    buffer: Buffer,
    bufferOffset: number,
    bufferSize: number,
    parity: Buffer,
    parityOffset: number,
    paritySize: number,
    done: (error?: Error) => void,
  ): void;
}

/** @throws when the optional addon is not installed. */
export function loadAddon(): Addon {
  return createRequire(import.meta.url)('@ronomon/reed-solomon') as Addon;
}

/**
 * Runs programs on the addon's threads. It wants the data shards side by side and its first parity to be the sum
 * of them all, so shards are copied out of the arena and back, and that parity is declared present and skipped.
 * Programs over more data shards than it carries go to the portable kernel.
 */
export function nativeKernel(memory: WasmMemory, addon: Addon): Kernel {
  const portable = portableKernel(memory);
  const perCall = addon.MAX_M - 1;
  return {
    name: 'native',
    memory,
    async run(program, offsets, shardLength) {
      if (program.dataShards > addon.MAX_K || program.inputs.length > program.dataShards) {
        return portable.run(program, offsets, shardLength);
      }
      const input = Buffer.alloc(program.dataShards * shardLength);
      for (const [i, shard] of program.inputs.entries()) {
        input.set(new Uint8Array(memory.buffer, offsets[shard]!, shardLength), i * shardLength);
      }
      for (let from = 0; from < program.outputs.length; from += perCall) {
        const outputs = program.outputs.slice(from, from + perCall);
        const rows = program.coefficients.slice(from, from + perCall);
        const parity = await encode(addon, contextOf(program.dataShards, rows), input, shardLength);
        write(memory, parity, outputs, offsets, shardLength);
      }
    },
  };
}

/** Three bytes of shape, then a bit matrix whose first eight rows are the sum of all data. */
function contextOf(dataShards: number, rows: readonly Uint8Array[]): Buffer {
  const columns = 8 * dataShards;
  const context = Buffer.alloc(3 + columns * 8 * (1 + rows.length));
  context.set([8, dataShards, 1 + rows.length]);
  const all = [new Uint8Array(dataShards).fill(1), ...rows];
  for (const [r, row] of all.entries()) {
    for (const [c, element] of row.entries()) {
      for (const [b, bits] of bitRows(element).entries()) {
        for (let a = 0; a < 8; a++) context[3 + (8 * r + b) * columns + 8 * c + a] = (bits >> a) & 1;
      }
    }
  }
  return context;
}

/** @returns a first shard to be ignored, then the outputs. */
function encode(addon: Addon, context: Buffer, input: Buffer, shardLength: number): Promise<Buffer> {
  const dataShards = context[1]!;
  const parityShards = context[2]!;
  const parity = Buffer.allocUnsafe(parityShards * shardLength);
  const sources = 2 ** (dataShards + 1) - 1;
  const targets = 2 ** (dataShards + parityShards) - 1 - sources;
  return new Promise((resolve, reject) => {
    const done = (error?: Error): void => (error ? reject(error) : resolve(parity));
    addon.encode(context, sources, targets, input, 0, input.length, parity, 0, parity.length, done);
  });
}

function write(
  memory: WasmMemory,
  parity: Buffer,
  outputs: readonly number[],
  offsets: ShardOffsets,
  shardLength: number,
): void {
  const arena = new Uint8Array(memory.buffer);
  for (const [i, shard] of outputs.entries()) {
    arena.set(parity.subarray((i + 1) * shardLength, (i + 2) * shardLength), offsets[shard]!);
  }
}
