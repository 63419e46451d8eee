import type { Kernel, ShardOffsets } from './kernel.ts';
import { encodeProgram, rebuildProgram, type ShardProgram } from './kernel.ts';
import type { LinearCode } from './linear-code.ts';
import { assertShardLength, badShards, shardSet } from './shape.ts';

/** A code made to work on bytes in a kernel's arena. */
export interface Coder {
  readonly code: LinearCode;
  readonly kernel: Kernel;

  /** Fills every shard after the data shards. @param offsets of all shards, by shard number. */
  encode(offsets: ShardOffsets, shardLength: number): void | Promise<void>;

  /**
   * Fills the missing shards, reading only what {@link LinearCode.repairPlan} says.
   * @param available shards whose bytes are there; those also named missing do not count.
   * @throws HoldfastError `Unavailable` (code `undecodable`) listing what would make it decodable.
   */
  rebuild(
    offsets: ShardOffsets,
    shardLength: number,
    missing: Iterable<number>,
    available: Iterable<number>,
  ): void | Promise<void>;
}

/** Patterns of loss repeat, chunk after chunk; a program is some kilobytes. */
const MAX_PROGRAMS = 128;

/** Both methods throw HoldfastError `Corrupt` (code `bad_shards`) for lengths, offsets or numbers that make no sense. */
export function createCoder(code: LinearCode, kernel: Kernel): Coder {
  const encoding = encodeProgram(code);
  const rebuilding = new Map<string, ShardProgram>();

  const programFor = (missing: readonly number[], available: readonly number[]): ShardProgram => {
    const key = `${missing.join()}<${available.join()}`;
    const program =
      rebuilding.get(key) ?? rebuildProgram(code, missing, code.repairPlan(missing, available).reads);
    rebuilding.delete(key);
    rebuilding.set(key, program);
    if (rebuilding.size > MAX_PROGRAMS) rebuilding.delete(rebuilding.keys().next().value!);
    return program;
  };

  const run = (program: ShardProgram, offsets: ShardOffsets, shardLength: number): void | Promise<void> => {
    assertShardLength(shardLength, code.dataShards);
    const last = kernel.memory.buffer.byteLength - shardLength;
    for (const shards of [program.inputs, program.outputs]) {
      for (const shard of shards) {
        const offset = offsets[shard]!;
        if (!(offset >= 0 && offset <= last && offset % 16 === 0)) {
          throw badShards(`shard ${shard} has no place in the arena at ${String(offset)}`);
        }
      }
    }
    return kernel.run(program, offsets, shardLength);
  };

  return {
    code,
    kernel,
    encode: (offsets, shardLength) => run(encoding, offsets, shardLength),
    rebuild(offsets, shardLength, missing, available) {
      const wanted = shardSet(missing, code.totalShards);
      const have = shardSet(available, code.totalShards);
      if (wanted.length === 0) return;
      return run(programFor(wanted, have), offsets, shardLength);
    },
  };
}
