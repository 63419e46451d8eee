import { open } from 'node:fs/promises';
import type { Aead } from '../src/coding/aead.ts';
import { selectAead } from '../src/coding/aead-select.ts';
import { selectCodec } from '../src/coding/compress/select.ts';
import type { Acceleration } from '../src/core/acceleration.ts';
import { selectBlake3 } from '../src/core/b3/select.ts';
import { createSharedMemory } from '../src/core/wasm.ts';
import { createArena } from '../src/pipeline/arena.ts';
import { cpuSeconds, MIB, median } from './numbers.ts';

export interface MicroFigure {
  readonly what: string;
  readonly by: string;
  /** On one core. */
  readonly mibPerSecond?: number;
  readonly microseconds?: number;
}

const STACKS: readonly Acceleration[] = [
  { native: true, wasm: true },
  { native: false, wasm: true },
  { native: false, wasm: false },
];
const MIN_SECONDS = 0.15;
const REPEATS = 3;

/** Every implementation of every kernel, on shared memory in chunks of 1 MiB. @param text a file of at least 8 MiB. */
export async function microBenchmarks(text: string): Promise<MicroFigure[]> {
  const memory = new Uint8Array(createSharedMemory(8 * MIB).buffer);
  const figures = new Map<string, MicroFigure>();
  const add = (figure: MicroFigure): void => void figures.set(`${figure.what} ${figure.by}`, figure);
  const rate = (what: string, by: string, work: (chunk: Uint8Array) => void): void => {
    if (!figures.has(`${what} ${by}`)) add({ what, by, mibPerSecond: 1 / secondsEach(memory, work) });
  };
  const key = new Uint8Array(32);
  for (const stack of STACKS) {
    const aead: Aead = await selectAead(stack, await selectBlake3(stack));
    rate('cipher', aead.name, (chunk) => void aead.seal(key, key, chunk));
  }
  await fill(memory, text);
  for (const stack of STACKS) {
    const blake3 = await selectBlake3(stack);
    rate('BLAKE3 of 64 KiB', blake3.name, (chunk) => {
      for (let at = 0; at < chunk.length; at += 65_536) blake3.hash(chunk.subarray(at, at + 65_536));
    });
    const hasher = blake3.createHasher();
    rate('BLAKE3, piece after piece', blake3.name, (chunk) => hasher.update(chunk));
    for (const [name, level] of [
      ['zstd', 1],
      ['deflate', 1],
    ] as const) {
      const codec = await selectCodec(name, level, stack);
      const frames = Array.from({ length: 8 }, (_, i) =>
        codec.compress(memory.slice(i * MIB, (i + 1) * MIB)),
      );
      let next = 0;
      rate(`${name} compress`, codec.implementation, (chunk) => void codec.compress(chunk));
      rate(`${name} decompress`, codec.implementation, () => void codec.decompress(frames[next++ % 8]!, MIB));
    }
  }
  add(arenaTurn());
  const order = [...new Set([...figures.values()].map(({ what }) => what))];
  return [...figures.values()].sort((a, b) => order.indexOf(a.what) - order.indexOf(b.what));
}

async function fill(memory: Uint8Array, text: string): Promise<void> {
  const file = await open(text);
  await file.read(memory, 0, memory.length, 0);
  await file.close();
}

/** Processor seconds of one call with 1 MiB; the median of a few runs over different chunks. */
function secondsEach(memory: Uint8Array, work: (chunk: Uint8Array) => void): number {
  const run = (): number => {
    const start = cpuSeconds();
    let calls = 0;
    do {
      work(memory.subarray((calls % 8) * MIB, ((calls % 8) + 1) * MIB));
      calls++;
    } while (cpuSeconds() - start < MIN_SECONDS);
    return (cpuSeconds() - start) / calls;
  };
  run();
  return median(Array.from({ length: REPEATS }, run));
}

/** A chunk's turn in a busy arena: a slab taken, its end given back, the rest released out of order. */
function arenaTurn(): MicroFigure {
  const arena = createArena(128 * MIB);
  const held = Array.from({ length: 32 }, () => arena.tryAllocate(1.7 * MIB)!);
  const turns = 20_000;
  const run = (): number => {
    const start = cpuSeconds();
    for (let i = 0; i < turns; i++) {
      const place = (i * 7) % held.length;
      arena.release(held[place]!);
      held[place] = arena.shrink(arena.tryAllocate(1.7 * MIB)!, (0.2 + (i % 16) / 10) * MIB);
    }
    return ((cpuSeconds() - start) / turns) * 1e6;
  };
  run();
  return {
    what: 'arena: allocate, shrink, release',
    by: 'arena',
    microseconds: median([run(), run(), run()]),
  };
}
