import { bitRows } from './gf256.ts';
import type { ShardProgram } from './program.ts';
import { shareSums } from './shared-sums.ts';

/**
 * Part of a shard program as sums of packets. Packets are numbered lane by lane through the inputs, and the sums
 * that several rows share follow after them, each the sum of two earlier numbers.
 */
export interface XorTile {
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Packets a shard is seen as: 8, or 1 where every coefficient is 0 or 1 and bits need no telling apart. */
  readonly lanes: 1 | 8;
  readonly shared: readonly (readonly [number, number])[];
  /** For each packet of the outputs, what to add up. */
  readonly rows: readonly (readonly number[])[];
  /** Add to what an earlier tile left in the outputs. */
  readonly accumulate: boolean;
}

/** Beyond these a tile's straight-line code would outgrow the instruction cache and the time to compile it. */
const MAX_TILE_INPUTS = 24;
const MAX_TILE_OUTPUTS = 12;

export function xorTiles(program: ShardProgram): XorTile[] {
  const lanes = program.coefficients.every((row) => row.every((element) => element <= 1)) ? 1 : 8;
  const tiles: XorTile[] = [];
  for (const outputs of runs(program.outputs.length, MAX_TILE_OUTPUTS)) {
    for (const inputs of runs(program.inputs.length, MAX_TILE_INPUTS)) {
      const plain = outputs.flatMap((o) => sumsOf(program.coefficients[o]!, inputs, lanes));
      tiles.push({
        inputs: inputs.map((i) => program.inputs[i]!),
        outputs: outputs.map((o) => program.outputs[o]!),
        lanes,
        ...shareSums(plain, inputs.length * lanes),
        accumulate: inputs[0] !== 0,
      });
    }
  }
  return tiles;
}

/** The packets to add up for each packet of one output. */
function sumsOf(coefficients: Uint8Array, inputs: readonly number[], lanes: 1 | 8): number[][] {
  const sums = Array.from({ length: lanes }, (): number[] => []);
  for (const [at, input] of inputs.entries()) {
    const rows = lanes === 1 ? [coefficients[input]!] : bitRows(coefficients[input]!);
    for (const [b, row] of rows.entries()) {
      for (let a = 0; a < lanes; a++) if ((row >> a) & 1) sums[b]!.push(at * lanes + a);
    }
  }
  return sums;
}

/** 0…length−1 in runs as even as can be, each of at most `most`. */
function runs(length: number, most: number): number[][] {
  const size = Math.ceil(length / Math.ceil(length / most));
  const out: number[][] = [];
  for (let from = 0; from < length; from += size) {
    out.push(Array.from({ length: Math.min(size, length - from) }, (_, i) => from + i));
  }
  return out;
}
