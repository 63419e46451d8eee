import { createMemory, WASM_PAGE_BYTES, type WasmMemory } from '../../core/wasm.ts';
import { createLinearCode } from './code.ts';
import { type Coder, createCoder } from './coder.ts';
import type { KernelName } from './kernel.ts';
import type { LinearCode, RepairPlan, ShardCost } from './linear-code.ts';
import { type CodeParams, DEFAULT_LRC } from './params.ts';
import { undecodable } from './repair-plan.ts';
import { selectKernel } from './select-kernel.ts';
import { assertShardLength, badShards, shardSet, shardStride } from './shape.ts';

/** A shard's bytes, or a hole where it is lost. */
export type MaybeShard = Uint8Array | undefined | null;

/**
 * Erasure coding of single chunks held in ordinary buffers. Input is never kept or changed, results are fresh
 * copies. Calls may overlap; they run one after the other, in one arena that grows to the largest chunk.
 *
 * Rejects with HoldfastError: `Corrupt` (code `bad_shards`) for shards of wrong count or length and for numbers out
 * of range or named twice, `Unavailable` (code `undecodable`) for too few shards, with a hint that lists what would
 * make it decodable. It cannot tell a wrong byte from a right one: check shards by their hash first.
 */
export interface ErasureCode {
  readonly params: CodeParams;
  readonly name: string;
  readonly dataShards: number;
  readonly totalShards: number;
  readonly kernel: KernelName;

  /** @returns all shards, in order: the chunk padded with zeros, cut into the data shards, then parity. */
  encode(chunk: Uint8Array): Promise<Uint8Array[]>;
  /** @param length bytes of the chunk that was encoded. */
  reconstruct(shards: readonly MaybeShard[], length: number): Promise<Uint8Array>;
  /** Only the missing shards, in the order asked for; only what {@link ErasureCode.repairPlan} names is read. */
  rebuild(shards: readonly MaybeShard[], missing: readonly number[]): Promise<Uint8Array[]>;
  repairPlan(missing: Iterable<number>, available: Iterable<number>, cost?: ShardCost): RepairPlan;
  rank(available: Iterable<number>): number;
}

export interface ErasureCodeOptions {
  /** Native code may be used. Default true. */
  readonly native?: boolean;
  /** WebAssembly may be used. Default true. */
  readonly wasm?: boolean;
}

/** @throws HoldfastError `ConfigInvalid` for parameters that make no code. */
export async function createCode(
  params: CodeParams = DEFAULT_LRC,
  options: ErasureCodeOptions = {},
): Promise<ErasureCode> {
  const code = createLinearCode(params);
  const memory = createMemory(0, MAX_ARENA_BYTES);
  const kernel = await selectKernel({ native: options.native ?? true, wasm: options.wasm ?? true, memory });
  return new ArenaCode(createCoder(code, kernel), memory);
}

const MAX_ARENA_BYTES = 1024 ** 3;

class ArenaCode implements ErasureCode {
  readonly #coder: Coder;
  readonly #memory: WasmMemory;
  #last: Promise<unknown> = Promise.resolve();

  constructor(coder: Coder, memory: WasmMemory) {
    this.#coder = coder;
    this.#memory = memory;
  }

  get params(): CodeParams {
    return this.#code.params;
  }
  get name(): string {
    return this.#code.name;
  }
  get dataShards(): number {
    return this.#code.dataShards;
  }
  get totalShards(): number {
    return this.#code.totalShards;
  }
  get kernel(): KernelName {
    return this.#coder.kernel.name;
  }
  get #code(): LinearCode {
    return this.#coder.code;
  }

  async encode(chunk: Uint8Array): Promise<Uint8Array[]> {
    const length = this.#code.shardLength(byteLengthOf(chunk));
    return this.#exclusively(async () => {
      const { offsets, view } = this.#arena(length);
      for (let i = 0; i < this.dataShards; i++) {
        const part = chunk.subarray(i * length, (i + 1) * length);
        view.fill(0, offsets[i]! + part.length, offsets[i]! + length);
        view.set(part, offsets[i]!);
      }
      await this.#coder.encode(offsets, length);
      return offsets.map((offset) => view.slice(offset, offset + length));
    });
  }

  async reconstruct(shards: readonly MaybeShard[], length: number): Promise<Uint8Array> {
    const present = this.#present(shards);
    const lost = range(this.dataShards).filter((i) => !present.includes(i));
    if (present.length === 0) throw undecodable(this.#code, lost, present);
    const shardLength = shards[present[0]!]!.length;
    if (this.#code.shardLength(length) !== shardLength) {
      throw badShards(`${this.name}: a chunk of ${length} bytes has no shards of ${shardLength} bytes`);
    }
    const rebuilt = lost.length === 0 ? [] : await this.rebuild(shards, lost);
    const out = new Uint8Array(length);
    for (let i = 0, at = 0; at < length; i++, at += shardLength) {
      const shard = shards[i] ?? rebuilt[lost.indexOf(i)]!;
      out.set(shard.subarray(0, Math.min(shardLength, length - at)), at);
    }
    return out;
  }

  async rebuild(shards: readonly MaybeShard[], missing: readonly number[]): Promise<Uint8Array[]> {
    const present = this.#present(shards).filter((shard) => !missing.includes(shard));
    const wanted = shardSet(missing, this.totalShards);
    if (wanted.length === 0) return [];
    const { reads } = this.#code.repairPlan(wanted, present);
    const length = shards[reads[0]!]!.length;
    return this.#exclusively(async () => {
      const { offsets, view } = this.#arena(length);
      for (const shard of reads) view.set(shards[shard]!, offsets[shard]!);
      await this.#coder.rebuild(offsets, length, wanted, present);
      return missing.map((shard) => view.slice(offsets[shard]!, offsets[shard]! + length));
    });
  }

  repairPlan(missing: Iterable<number>, available: Iterable<number>, cost?: ShardCost): RepairPlan {
    return this.#code.repairPlan(missing, available, cost);
  }

  rank(available: Iterable<number>): number {
    return this.#code.rank(available);
  }

  #present(shards: readonly MaybeShard[]): number[] {
    if (!Array.isArray(shards) || shards.length !== this.totalShards) {
      throw badShards(
        `${this.name} has ${this.totalShards} shards: pass one entry for each, undefined where lost`,
      );
    }
    const present = range(this.totalShards).filter((i) => shards[i] !== undefined && shards[i] !== null);
    const lengths = new Set(present.map((i) => byteLengthOf(shards[i]!)));
    if (lengths.size > 1) throw badShards(`shards of different lengths: ${[...lengths].join(', ')} bytes`);
    for (const length of lengths) assertShardLength(length, this.dataShards);
    return present;
  }

  #arena(shardLength: number): { offsets: number[]; view: Uint8Array } {
    const stride = shardStride(shardLength);
    const missing = stride * this.totalShards - this.#memory.buffer.byteLength;
    if (stride * this.totalShards > MAX_ARENA_BYTES)
      throw badShards('the chunk does not fit the arena of 1 GiB');
    if (missing > 0) this.#memory.grow(Math.ceil(missing / WASM_PAGE_BYTES));
    return {
      offsets: range(this.totalShards).map((i) => i * stride),
      view: new Uint8Array(this.#memory.buffer),
    };
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }
}

function byteLengthOf(bytes: Uint8Array): number {
  if (!(bytes instanceof Uint8Array)) throw badShards('expected a Uint8Array');
  return bytes.length;
}

const range = (length: number): number[] => Array.from({ length }, (_, i) => i);
