import { isShared, type WasmMemory, wasmApi } from '../../core/wasm.ts';
import type { Kernel, ShardOffsets, ShardProgram } from './kernel.ts';
import { packetLengthOf } from './shape.ts';
import { tileModule } from './wasm-code.ts';
import type { XorTile } from './xor-program.ts';
import { TileMemory } from './xor-program.ts';

type Run = (...pointersPacketBlocks: number[]) => void;

/**
 * Compiles every program to WebAssembly SIMD at its first run and keeps the machine code as long as the program
 * itself is kept. It needs no memory but the arena. Runs synchronously.
 */
export function wasmKernel(memory: WasmMemory, tiles: TileMemory = new TileMemory()): Kernel {
  const compiled = new WeakMap<ShardProgram, CompiledProgram>();
  return {
    name: 'wasm',
    memory,
    run(program, offsets, shardLength): void {
      let code = compiled.get(program);
      if (code === undefined) {
        code = new CompiledProgram(program, tiles.of(program), memory);
        compiled.set(program, code);
      }
      code.run(offsets, shardLength);
    },
  };
}

class CompiledProgram {
  readonly #tiles: readonly CompiledTile[];
  readonly #dataShards: number;

  constructor(program: ShardProgram, tiles: readonly XorTile[], memory: WasmMemory) {
    this.#tiles = tiles.map((tile) => new CompiledTile(tile, memory));
    this.#dataShards = program.dataShards;
  }

  run(offsets: ShardOffsets, shardLength: number): void {
    const packet = packetLengthOf(shardLength, this.#dataShards);
    for (const tile of this.#tiles) tile.run(offsets, shardLength, packet);
  }
}

class CompiledTile {
  readonly #tile: XorTile;
  readonly #memory: WasmMemory;
  readonly #runs = new Map<number, Run>();

  constructor(tile: XorTile, memory: WasmMemory) {
    this.#tile = tile;
    this.#memory = memory;
  }

  run(offsets: ShardOffsets, shardLength: number, packet: number): void {
    const { inputs, outputs, lanes } = this.#tile;
    const length = lanes === 1 ? shardLength : packet;
    const call: number[] = [];
    for (const shard of inputs) call.push(offsets[shard]!);
    for (const shard of outputs) call.push(offsets[shard]!);
    this.#runFor(packet)(...call, length, shardLength / (length * lanes));
  }

  /** Packets of the common lengths, all powers of two, get code of their own: a fifth faster. */
  #runFor(packet: number): Run {
    const fixed = this.#tile.lanes === 8 && (packet & (packet - 1)) === 0 ? packet : 0;
    let run = this.#runs.get(fixed);
    if (run === undefined) {
      run = instantiate(tileModule(this.#tile, fixed, isShared(this.#memory)), this.#memory);
      this.#runs.set(fixed, run);
    }
    return run;
  }
}

function instantiate(bytes: Uint8Array, memory: WasmMemory): Run {
  const api = wasmApi!;
  return new api.Instance(new api.Module(bytes), { arena: { memory } }).exports.run as Run;
}
