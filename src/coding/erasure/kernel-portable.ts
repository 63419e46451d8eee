import type { WasmMemory } from '../../core/wasm.ts';
import { bitRows } from './gf256.ts';
import type { Kernel, ShardOffsets, ShardProgram } from './kernel.ts';
import { packetLengthOf } from './shape.ts';

/** The reference: one XOR after the other, four bytes at a time, exactly as the format document says it. */
export function portableKernel(memory: WasmMemory): Kernel {
  return {
    name: 'portable',
    memory,
    run(program, offsets, shardLength): void {
      runPlainly(new Int32Array(memory.buffer), program, offsets, shardLength);
    },
  };
}

function runPlainly(
  words: Int32Array,
  program: ShardProgram,
  offsets: ShardOffsets,
  shardLength: number,
): void {
  const packet = packetLengthOf(shardLength, program.dataShards);
  for (const [o, output] of program.outputs.entries()) {
    const target = words.subarray(offsets[output]! >> 2, (offsets[output]! + shardLength) >> 2).fill(0);
    for (const [i, input] of program.inputs.entries()) {
      const source = words.subarray(offsets[input]! >> 2, (offsets[input]! + shardLength) >> 2);
      addProduct(target, source, bitRows(program.coefficients[o]![i]!), packet >> 2);
    }
  }
}

/** @param rows per packet of the target, the packets of the source that it takes. */
function addProduct(target: Int32Array, source: Int32Array, rows: readonly number[], packet: number): void {
  for (let block = 0; block < target.length; block += 8 * packet) {
    for (const [b, row] of rows.entries()) {
      for (let a = 0; a < 8; a++) {
        if ((row >> a) & 1) addPacket(target, block + b * packet, source, block + a * packet, packet);
      }
    }
  }
}

function addPacket(target: Int32Array, to: number, source: Int32Array, from: number, length: number): void {
  for (let i = 0; i < length; i++) target[to + i]! ^= source[from + i]!;
}
