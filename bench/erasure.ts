import {
  type Coder,
  createCoder,
  createLinearCode,
  DEFAULT_LRC,
  type Kernel,
  shardStride,
  workingKernels,
} from '../src/coding/erasure/index.ts';
import { createSharedMemory } from '../src/core/wasm.ts';

const MIB = 1024 ** 2;
const SHARD_KIB = [16, 64, 256];
const code = createLinearCode(DEFAULT_LRC);
const shards = Array.from({ length: code.totalShards }, (_, i) => i);

export interface ErasureBenchOptions {
  readonly native: boolean;
  readonly wasm: boolean;
  readonly print: (line: string) => void;
}

/** What the default code must reach on one core at 64 KiB shards, in MiB/s. */
const GOALS: Readonly<Record<string, number>> = { encode: 5000, 'decode 4': 3500, 'local rebuild': 8000 };

/**
 * MiB/s on one core: input for encoding and decoding (16 data shards), bytes read for a local rebuild, bytes copied
 * for the plain copy beside them. The decode line is the slowest of many patterns of four lost data shards.
 */
export async function benchErasure({ native, wasm, print }: ErasureBenchOptions): Promise<void> {
  print(`erasure ${code.name}, MiB/s on one core (goal at 64 KiB; ratio to it)`);
  print(row('', 'shard KiB', ...SHARD_KIB.map(String), 'goal', 'ratio'));
  const memory = createSharedMemory(code.totalShards * shardStride(SHARD_KIB.at(-1)! * 1024));
  const bytes = new Uint8Array(memory.buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 2_654_435_761) >>> 24;
  print(row('', 'plain copy', ...(await eachLength(async (length) => copyRate(bytes, length))), '', ''));
  for await (const make of workingKernels({ native, wasm })) await benchKernel(make(memory), print);
}

async function benchKernel(kernel: Kernel, print: (line: string) => void): Promise<void> {
  const coder = createCoder(code, kernel);
  const line = async (what: string, rate: (length: number) => Promise<number>): Promise<void> => {
    const rates = await eachLength(rate);
    const goal = GOALS[what]!;
    const ratio = kernel.name === 'wasm' ? `${(Number(rates[1]) / goal).toFixed(2)}x` : '';
    print(row(kernel.name, what, ...rates, kernel.name === 'wasm' ? String(goal) : '', ratio));
  };
  await line('encode', (length) => rateOf(() => coder.encode(offsetsFor(length), length), 16 * length));
  await line('decode 4', (length) => slowestDecode(coder, length));
  await line('local rebuild', (length) => rebuildRate(coder, length, [5], 3 * length));
}

/** Patterns that need a global parity are the slow ones; the rest are plain sums. */
async function slowestDecode(coder: Coder, length: number): Promise<number> {
  const patterns = solvedPatterns(coder);
  const step = Math.ceil(patterns.length / 6);
  let slowest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < patterns.length; i += step) {
    slowest = Math.min(slowest, await rebuildRate(coder, length, patterns[i]!, 16 * length));
  }
  return slowest;
}

/** Four lost data shards that plain sums alone do not give back. */
function solvedPatterns({ code }: Coder): number[][] {
  const found: number[][] = [];
  for (let a = 0; a < 16; a++) {
    for (let b = a + 1; b < 16; b++) {
      for (let c = b + 1; c < 16; c++) {
        for (let d = c + 1; d < 16; d++) {
          const { reads } = code.repairPlan([a, b, c, d], without([a, b, c, d]));
          if (reads.some((shard) => code.kindOf(shard) === 'global')) found.push([a, b, c, d]);
        }
      }
    }
  }
  return found;
}

function rebuildRate(coder: Coder, length: number, lost: readonly number[], bytes: number): Promise<number> {
  const offsets = offsetsFor(length);
  const available = without(lost);
  return rateOf(() => coder.rebuild(offsets, length, lost, available), bytes);
}

async function copyRate(bytes: Uint8Array, length: number): Promise<number> {
  const half = Math.min(16 * length, bytes.length >> 1);
  return rateOf(() => void bytes.copyWithin(half, 0, half), half);
}

/**
 * The fastest of many short runs, after a warm-up in which the engine optimises: what the core can do, whatever else
 * the machine is busy with.
 */
async function rateOf(work: () => void | Promise<void>, bytes: number): Promise<number> {
  const run = async (ms: number): Promise<number> => {
    const start = performance.now();
    let calls = 0;
    while (performance.now() - start < ms) {
      const pending = work();
      if (pending !== undefined) await pending;
      calls++;
    }
    return (calls * bytes) / MIB / ((performance.now() - start) / 1000);
  };
  await run(150);
  await new Promise((resolve) => setTimeout(resolve, 50));
  let fastest = 0;
  for (let i = 0; i < 40; i++) fastest = Math.max(fastest, await run(8));
  return fastest;
}

async function eachLength(rate: (length: number) => Promise<number>): Promise<string[]> {
  const rates: string[] = [];
  for (const kib of SHARD_KIB) rates.push((await rate(kib * 1024)).toFixed(0));
  return rates;
}

const offsetsFor = (length: number): number[] => shards.map((shard) => shard * shardStride(length));
const without = (lost: readonly number[]): number[] => shards.filter((shard) => !lost.includes(shard));

const row = (kernel: string, what: string, ...cells: string[]): string =>
  kernel.padEnd(10) + what.padEnd(16) + cells.map((cell) => cell.padStart(9)).join('');
