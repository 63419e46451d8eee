import { describe, expect, test } from 'vitest';
import { type Coder, createCoder } from '../../../src/coding/erasure/coder.ts';
import {
  type CodeParams,
  createLinearCode,
  DEFAULT_LRC,
  selectKernel,
} from '../../../src/coding/erasure/index.ts';
import { createMemory } from '../../../src/core/wasm.ts';
import { draws, someBytes, subsets, without } from './helpers.ts';

const SHARD = 512;

describe('rebuilding for real', () => {
  test('losses of up to four of 27 shards give back the same bytes', { timeout: 300_000 }, async () => {
    const arena = await encodedArena(DEFAULT_LRC, false);
    let rebuilt = 0;
    let tried = 0;
    for (let lost = 1; lost <= 4; lost++) {
      // That four may be lost is shown for every pattern by its rank; the bytes of each third of them.
      const step = lost === 4 && !process.env.SLOW ? 3 : 1;
      for (const [i, missing] of [...subsets(27, lost)].entries()) {
        if (i % step !== 0) continue;
        tried++;
        if (arena.losesAndRegains(missing)) rebuilt++;
      }
    }
    console.log(`rebuilt byte for byte: ${rebuilt} of ${tried} patterns of up to four lost`);
    expect(rebuilt).toBe(tried);
  });

  test('a sample of losses of 5 to 11 shards rebuilds whenever the matrix has the rank', {
    timeout: 300_000,
  }, async () => {
    const arena = await encodedArena(DEFAULT_LRC, false);
    const draw = draws(5);
    let decodable = 0;
    for (let i = 0; i < (process.env.SLOW ? 50_000 : 1500); i++) {
      const missing = drawn(draw, 27, 5 + (i % 7));
      if (arena.coder.code.decodable(without(27, missing))) {
        decodable++;
        expect(arena.losesAndRegains(missing)).toBe(true);
      } else {
        expect(() => arena.losesAndRegains(missing)).toThrowError(
          expect.objectContaining({ code: 'undecodable' }),
        );
      }
    }
    expect(decodable).toBeGreaterThan(500);
  });

  test('compiled programs rebuild a sample of patterns too', { timeout: 60_000 }, async () => {
    const arena = await encodedArena(DEFAULT_LRC, true);
    const draw = draws(6);
    for (let i = 0; i < 150; i++) {
      const missing = drawn(draw, 27, 1 + (i % 7));
      if (arena.coder.code.decodable(without(27, missing))) expect(arena.losesAndRegains(missing)).toBe(true);
    }
  });

  test.each<CodeParams>([
    { algorithm: 'reed-solomon', dataShards: 16, parityShards: 8 },
    { algorithm: 'reed-solomon', dataShards: 3, parityShards: 2 },
    { algorithm: 'xor', dataShards: 16, parityShards: 2 },
    { algorithm: 'replica', copies: 4 },
    { ...DEFAULT_LRC, fountainKind: 'pair' },
    { ...DEFAULT_LRC, fountainKind: 'none', fountainShards: 0 },
    { ...DEFAULT_LRC, dataShards: 10, localParity: 2, globalParity: 2, fountainShards: 2 },
    { ...DEFAULT_LRC, dataShards: 24, localParity: 6, globalParity: 4, fountainShards: 5 },
    {
      ...DEFAULT_LRC,
      dataShards: 1,
      localParity: 1,
      globalParity: 0,
      fountainKind: 'none',
      fountainShards: 0,
    },
  ])('$algorithm $dataShards shards: whatever decodes is rebuilt', async (params) => {
    const arena = await encodedArena(params, true);
    const { code } = arena.coder;
    const draw = draws(7);
    for (let i = 0; i < 40; i++) {
      const parity = code.totalShards - code.dataShards;
      const missing = drawn(draw, code.totalShards, 1 + (i % parity || 0));
      const possible = code.decodable(without(code.totalShards, missing));
      if (params.algorithm === 'reed-solomon' || params.algorithm === 'replica') expect(possible).toBe(true);
      if (possible) expect(arena.losesAndRegains(missing)).toBe(true);
    }
  });

  test('only the shards of the plan are read', async () => {
    const arena = await encodedArena(DEFAULT_LRC, false);
    const { coder, offsets, bytes } = arena;
    const before = arena.shard(5);
    const reads = coder.code.repairPlan([5], without(27, [5])).reads;
    for (const shard of without(27, reads)) bytes.fill(0xee, offsets[shard], offsets[shard]! + SHARD);
    coder.rebuild(offsets, SHARD, [5], without(27, [5]));
    expect(arena.shard(5)).toEqual(before);
  });

  test('what was lost may be asked for in part', async () => {
    const arena = await encodedArena(DEFAULT_LRC, false);
    const before = arena.shard(21);
    const lost = [0, 1, 2, 21];
    for (const shard of lost) arena.bytes.fill(0, arena.offsets[shard], arena.offsets[shard]! + SHARD);
    arena.coder.rebuild(arena.offsets, SHARD, [21], without(27, lost));
    expect(arena.shard(21)).toEqual(before);
    expect(arena.shard(0)).toEqual(new Uint8Array(SHARD));
  });
});

function drawn(draw: (bound: number) => number, total: number, size: number): number[] {
  const set = new Set<number>();
  while (set.size < size) set.add(draw(total));
  return [...set];
}

/** A chunk encoded in an arena, and a way to lose shards of it and see them come back. */
async function encodedArena(params: CodeParams, wasm: boolean) {
  const code = createLinearCode(params);
  const memory = createMemory(code.totalShards * SHARD);
  const coder: Coder = createCoder(code, await selectKernel({ native: false, wasm, memory }));
  expect(coder.kernel.name).toBe(wasm ? 'wasm' : 'portable');
  const bytes = new Uint8Array(memory.buffer);
  const offsets = Array.from({ length: code.totalShards }, (_, i) => i * SHARD);
  bytes.set(someBytes(code.dataShards * SHARD, 99));
  coder.encode(offsets, SHARD);
  const whole = bytes.slice();
  return {
    coder,
    offsets,
    bytes,
    shard: (i: number) => bytes.slice(offsets[i], offsets[i]! + SHARD),
    /** Whether the arena is the same as before; it is put right again either way. */
    losesAndRegains(missing: readonly number[]): boolean {
      for (const shard of missing) bytes.fill(0xdd, offsets[shard], offsets[shard]! + SHARD);
      try {
        coder.rebuild(offsets, SHARD, missing, without(code.totalShards, missing));
        return Buffer.compare(bytes, whole) === 0;
      } finally {
        bytes.set(whole);
      }
    },
  };
}
