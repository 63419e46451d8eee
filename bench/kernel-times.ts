import { closeSync, openSync, readSync, rmSync, writevSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Aead } from '../src/coding/aead.ts';
import type { Codec } from '../src/coding/compress/codec.ts';
import { type Coder, createLinearCode, DEFAULT_LRC, shardStride } from '../src/coding/erasure/index.ts';
import { accelerationFrom } from '../src/core/acceleration.ts';
import type { Blake3 } from '../src/core/b3/blake3.ts';
import { systemClock } from '../src/core/clock.ts';
import { createSharedMemory } from '../src/core/wasm.ts';
import { loadPrimitives } from '../src/pipeline/cpu/primitives.ts';
import { cpuSeconds, GIB, MIB } from './numbers.ts';

/** A default segment: what is in flight at once, and more than caches hold. */
const CHUNKS = 36;
const CHUNK = MIB;
/** The pipeline compresses two pieces of this length to see whether a chunk is worth it. */
const SAMPLE = 16 * 1024;

/** How often each kernel is run, and which of the times counts. */
export interface Estimate {
  readonly repeats: number;
  of(seconds: readonly number[]): number;
}

/** Each kernel timed alone. Figures are processor seconds per GiB that passes through, on this thread. */
export class KernelTimes {
  readonly coder: Coder;
  readonly #aead: Aead;
  readonly #blake3: Blake3;
  readonly #codec: Codec;
  readonly #memory: Uint8Array;
  readonly #shard: number;
  readonly #slab: number;
  readonly #estimate: Estimate;

  private constructor(
    coder: Coder,
    aead: Aead,
    blake3: Blake3,
    codec: Codec,
    memory: Uint8Array,
    estimate: Estimate,
  ) {
    this.coder = coder;
    this.#aead = aead;
    this.#blake3 = blake3;
    this.#codec = codec;
    this.#memory = memory;
    this.#estimate = estimate;
    this.#shard = coder.code.shardLength(CHUNK);
    this.#slab = coder.code.totalShards * shardStride(this.#shard);
  }

  /** Slabs filled with chunks from all over the input. */
  static async open(input: string, estimate: Estimate): Promise<KernelTimes> {
    const code = createLinearCode(DEFAULT_LRC);
    const slab = code.totalShards * shardStride(code.shardLength(CHUNK));
    const memory = createSharedMemory(CHUNKS * slab);
    const use = await loadPrimitives(memory, accelerationFrom(process.env), systemClock);
    const times = new KernelTimes(
      await use.coder(code.params),
      use.aead,
      use.blake3,
      await use.codec('zstd', 1),
      use.memory,
      estimate,
    );
    const file = await open(input);
    try {
      const { size } = await file.stat();
      const step = Math.floor((size - CHUNK) / (CHUNKS - 1));
      for (let i = 0; i < CHUNKS; i++) await file.read(use.memory, i * slab, CHUNK, i * step);
    } finally {
      await file.close();
    }
    return times;
  }

  /** Seconds per GiB of stored bytes, and what share of the input is stored. */
  compression(): { stored: number; compress: number; decompress: number } {
    const codec = this.#codec;
    const frames = this.#chunks().map((chunk) => {
      const looks = [0, CHUNK >> 1].some(
        (at) => codec.compress(chunk.subarray(at, at + SAMPLE)).length < 0.97 * SAMPLE,
      );
      const frame = looks ? codec.compress(chunk) : chunk;
      return frame.length < CHUNK ? frame : chunk;
    });
    const stored = frames.reduce((sum, frame) => sum + frame.length, 0) / (CHUNKS * CHUNK);
    const compress = this.#perGib(CHUNK, (i) => {
      const chunk = this.#chunks()[i]!;
      const samples = [0, CHUNK >> 1].map((at) => codec.compress(chunk.subarray(at, at + SAMPLE)));
      if (samples.some((sample) => sample.length < 0.97 * SAMPLE)) codec.compress(chunk);
    });
    const decompress = this.#perGib(CHUNK, (i) => {
      if (frames[i]!.length < CHUNK) codec.decompress(frames[i]!, CHUNK);
    });
    return { stored, compress, decompress };
  }

  async encode(): Promise<number> {
    const offsets = Array.from({ length: CHUNKS }, (_, i) =>
      Array.from(
        { length: this.coder.code.totalShards },
        (_, s) => i * this.#slab + s * shardStride(this.#shard),
      ),
    );
    for (let i = 0; i < 200; i++) await this.coder.encode(offsets[i % CHUNKS]!, this.#shard);
    const seconds: number[] = [];
    for (let repeat = 0; repeat < this.#estimate.repeats; repeat++) {
      const start = cpuSeconds();
      for (const places of offsets) {
        const pending = this.coder.encode(places, this.#shard);
        if (pending !== undefined) await pending;
      }
      seconds.push(cpuSeconds() - start);
    }
    return (this.#estimate.of(seconds) / (CHUNKS * CHUNK)) * GIB;
  }

  cipher(): number {
    const key = new Uint8Array(32);
    const chunks = this.#chunks();
    return this.#perGib(CHUNK, (i) => void this.#aead.seal(key, new Uint8Array(35), chunks[i]!));
  }

  /** In pieces of a shard. */
  hash(): number {
    return this.#perGib(CHUNK, (i) => {
      for (let s = 0; s < this.coder.code.dataShards; s++) {
        const at = i * this.#slab + s * shardStride(this.#shard);
        this.#blake3.hash(this.#memory.subarray(at, at + this.#shard));
      }
    });
  }

  read(input: string): number {
    const file = openSync(input, 'r');
    try {
      return this.#perGib(CHUNK, (i) => void readSync(file, this.#memory, i * this.#slab, CHUNK, i * CHUNK));
    } finally {
      closeSync(file);
    }
  }

  /** New files of 8 MiB, gathered from pieces of a shard's length, as packs are. */
  write(path: string): number {
    const perFile = 8;
    const chunks = this.#chunks();
    const files = Array.from({ length: Math.ceil(CHUNKS / perFile) }, (_, i) => `${path}-${i}`);
    const seconds: number[] = [];
    for (let repeat = 0; repeat <= this.#estimate.repeats; repeat++) {
      const start = cpuSeconds();
      for (const [i, name] of files.entries()) {
        const file = openSync(name, 'w');
        for (const chunk of chunks.slice(i * perFile, (i + 1) * perFile)) {
          writevSync(
            file,
            Array.from({ length: 16 }, (_, s) => chunk.subarray(s << 16, (s + 1) << 16)),
          );
        }
        closeSync(file);
      }
      seconds.push(cpuSeconds() - start);
      for (const name of files) rmSync(name);
    }
    return (this.#estimate.of(seconds.slice(1)) / (CHUNKS * CHUNK)) * GIB;
  }

  #chunks(): Uint8Array[] {
    return Array.from({ length: CHUNKS }, (_, i) =>
      this.#memory.subarray(i * this.#slab, i * this.#slab + CHUNK),
    );
  }

  #perGib(bytesEach: number, work: (chunk: number) => void): number {
    for (let i = 0; i < CHUNKS; i++) work(i);
    const seconds = Array.from({ length: this.#estimate.repeats }, () => {
      const start = cpuSeconds();
      for (let i = 0; i < CHUNKS; i++) work(i);
      return cpuSeconds() - start;
    });
    return (this.#estimate.of(seconds) / (CHUNKS * bytesEach)) * GIB;
  }
}
