import type { Codec } from '../coding/compress/codec.ts';
import { rleCodec } from '../coding/compress/rle.ts';
import { type Coder, createCoder } from '../coding/erasure/coder.ts';
import {
  type CodeParams,
  createLinearCode,
  DEFAULT_LRC,
  type KernelMaker,
  shardStride,
} from '../coding/erasure/index.ts';
import { createMemory, type WasmMemory } from '../core/wasm.ts';

export interface CompareOptions {
  /** Bytes of the chunk. */
  readonly bytes: number;
  readonly dataShards: number;
  /** Parity shards of the Reed-Solomon and XOR codes; as many data shards are lost, as far as the code allows. */
  readonly parityShards: number;
  readonly iterations: number;
  /** Of the default stack. */
  readonly codec: Codec;
  /** Each stack is measured on each of these. */
  readonly kernels: readonly KernelMaker[];
  /** Milliseconds from any start. */
  readonly now: () => number;
}

export interface StackFigures {
  readonly code: string;
  readonly codec: string;
  readonly kernel: string;
  /** Compress and encode one chunk, on average. */
  readonly encodeMs: number;
  readonly encodeMiBps: number;
  /** Rebuild the lost data shards and decompress, on average. */
  readonly decodeMs: number;
  readonly decodeMiBps: number;
  readonly lostShards: number;
  /** Bytes in all shards over bytes of the chunk. */
  readonly storedRatio: number;
}

/**
 * The default stack, Reed-Solomon of the given shape, and the fallback stack (XOR and run lengths), on one chunk that
 * is half text and half noise, so that both compressors have something to do.
 */
export async function compareCoders(options: CompareOptions): Promise<StackFigures[]> {
  const { dataShards, parityShards, codec } = options;
  const stacks: [CodeParams, Codec][] = [
    [DEFAULT_LRC, codec],
    [{ algorithm: 'reed-solomon', dataShards, parityShards }, codec],
    [{ algorithm: 'xor', dataShards, parityShards }, rleCodec],
  ];
  const chunk = sampleChunk(options.bytes);
  const figures: StackFigures[] = [];
  for (const [params, compressor] of stacks) {
    for (const kernel of options.kernels)
      figures.push(await measure(params, compressor, kernel, chunk, options));
  }
  return figures;
}

async function measure(
  params: CodeParams,
  codec: Codec,
  makeKernel: KernelMaker,
  chunk: Uint8Array,
  { iterations, parityShards, now }: CompareOptions,
): Promise<StackFigures> {
  const code = createLinearCode(params);
  const frame = smaller(codec.compress(chunk), chunk);
  const shardLength = code.shardLength(frame.length);
  const memory = createMemory(code.totalShards * shardStride(shardLength));
  const coder = createCoder(code, makeKernel(memory));
  const offsets = Array.from({ length: code.totalShards }, (_, i) => i * shardStride(shardLength));
  const lost = losable(coder, parityShards);
  const available = offsets.map((_, shard) => shard).filter((shard) => !lost.includes(shard));

  const encode = async (): Promise<void> => {
    scatter(memory, smaller(codec.compress(chunk), chunk), offsets.slice(0, code.dataShards), shardLength);
    await coder.encode(offsets, shardLength);
  };
  const decode = async (): Promise<void> => {
    await coder.rebuild(offsets, shardLength, lost, available);
    const stored = gather(memory, frame.length, offsets, shardLength);
    if (frame !== chunk) codec.decompress(stored, chunk.length);
  };
  const encodeMs = await average(encode, iterations, now);
  const decodeMs = await average(decode, iterations, now);
  const rate = (ms: number): number => chunk.length / 1024 ** 2 / (ms / 1000);
  return {
    code: code.name,
    codec: codec.name,
    kernel: coder.kernel.name,
    encodeMs,
    encodeMiBps: rate(encodeMs),
    decodeMs,
    decodeMiBps: rate(decodeMs),
    lostShards: lost.length,
    storedRatio: (code.totalShards * shardLength) / chunk.length,
  };
}

/** The first call compiles and is left out. */
async function average(work: () => Promise<void>, iterations: number, now: () => number): Promise<number> {
  await work();
  const start = now();
  for (let i = 0; i < iterations; i++) await work();
  return (now() - start) / iterations;
}

const smaller = (compressed: Uint8Array, plain: Uint8Array): Uint8Array =>
  compressed.length < plain.length ? compressed : plain;

/** The first data shards whose loss the code survives, at most `most` of them. */
function losable({ code }: Coder, most: number): number[] {
  const all = Array.from({ length: code.totalShards }, (_, i) => i);
  let count = Math.min(most, code.dataShards);
  while (count > 0 && !code.decodable(all.slice(count))) count--;
  return all.slice(0, count);
}

function scatter(
  memory: WasmMemory,
  frame: Uint8Array,
  offsets: readonly number[],
  shardLength: number,
): void {
  const arena = new Uint8Array(memory.buffer);
  for (const [i, offset] of offsets.entries()) {
    const part = frame.subarray(i * shardLength, (i + 1) * shardLength);
    arena.set(part, offset);
    arena.fill(0, offset + part.length, offset + shardLength);
  }
}

function gather(
  memory: WasmMemory,
  length: number,
  offsets: readonly number[],
  shardLength: number,
): Uint8Array {
  const out = new Uint8Array(length);
  for (let at = 0, i = 0; at < length; at += shardLength, i++) {
    out.set(new Uint8Array(memory.buffer, offsets[i]!, Math.min(shardLength, length - at)), at);
  }
  return out;
}

function sampleChunk(bytes: number): Uint8Array {
  const chunk = new Uint8Array(bytes);
  const line = 'a line of text with some spaces to spare            \n';
  let noise = 1;
  for (let i = 0; i < bytes; i++) {
    noise = (Math.imul(noise, 1_664_525) + 1_013_904_223) >>> 0;
    chunk[i] = (i >> 12) % 2 === 0 ? line.charCodeAt(i % line.length) : noise >>> 24;
  }
  return chunk;
}
