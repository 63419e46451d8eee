import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { createCoder } from '../../../src/coding/erasure/coder.ts';
import {
  type CodeParams,
  createLinearCode,
  type Kernel,
  selectKernel,
} from '../../../src/coding/erasure/index.ts';
import { portableKernel } from '../../../src/coding/erasure/kernel-portable.ts';
import { wasmKernel } from '../../../src/coding/erasure/kernel-wasm.ts';
import { nativeMaker } from '../../../src/coding/erasure/select-kernel.ts';
import { createMemory, createSharedMemory, type WasmMemory } from '../../../src/core/wasm.ts';
import { someBytes, without } from './helpers.ts';

const RUNS = process.env.SLOW ? 1500 : 60;

let makers: Record<string, (memory: WasmMemory) => Kernel>;
beforeAll(async () => {
  const native = await nativeMaker();
  if (native === undefined) console.warn('SKIPPED: the native kernel (its addon is not installed)');
  makers = { portable: portableKernel, wasm: wasmKernel, ...(native ? { native } : {}) };
});

const params: fc.Arbitrary<CodeParams> = fc.oneof(
  fc.record({
    algorithm: fc.constant('lrc' as const),
    dataShards: fc.integer({ min: 2, max: 26 }),
    localParity: fc.integer({ min: 1, max: 2 }),
    globalParity: fc.integer({ min: 0, max: 4 }),
    fountainKind: fc.constantFrom('pair' as const, 'wide' as const),
    fountainShards: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({
    algorithm: fc.constant('reed-solomon' as const),
    dataShards: fc.integer({ min: 1, max: 30 }),
    parityShards: fc.integer({ min: 1, max: 14 }),
  }),
  fc.record({
    algorithm: fc.constant('xor' as const),
    dataShards: fc.integer({ min: 1, max: 30 }),
    parityShards: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ algorithm: fc.constant('replica' as const), copies: fc.integer({ min: 2, max: 5 }) }),
);

/** Packets that are powers of two, others, and long ones that get halved. */
const frames = fc.oneof(
  fc.integer({ min: 0, max: 60_000 }),
  fc.constantFrom(2 ** 15, 2 ** 18, 2 ** 20, 1_500_001),
);

describe('kernels', () => {
  test('fill every parity and every lost shard with the same bytes, and touch nothing else', {
    timeout: 120_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        params,
        frames,
        fc.integer(),
        fc.boolean(),
        async (codeParams, frame, seed, shared) => {
          const code = createLinearCode(codeParams);
          const length = code.shardLength(frame);
          const offsets = scattered(code.totalShards, length, seed);
          const bytes = Math.max(...offsets) + length + 64;
          const results: Uint8Array[] = [];
          for (const make of Object.values(makers)) {
            const memory = shared ? createSharedMemory(bytes) : createMemory(bytes);
            const arena = new Uint8Array(memory.buffer);
            arena.fill(0xa5);
            const data = someBytes(4096, seed);
            for (let shard = 0; shard < code.dataShards; shard++) {
              for (let at = 0; at < length; at += data.length) {
                arena.set(data.subarray(0, Math.min(data.length, length - at)), offsets[shard]! + at);
              }
              arena[offsets[shard]! + ((seed >>> 3) % length)]! ^= shard;
            }
            const coder = createCoder(code, make(memory));
            await coder.encode(offsets, length);
            const whole = arena.slice();
            const missing = worstLoss(code.totalShards, code.decodable.bind(code), seed);
            for (const shard of missing) arena.fill(0x3c, offsets[shard], offsets[shard]! + length);
            await coder.rebuild(offsets, length, missing, without(code.totalShards, missing));
            expect(Buffer.compare(arena, whole)).toBe(0);
            results.push(
              outside(whole, offsets, length).every((byte) => byte === 0xa5) ? whole : new Uint8Array(0),
            );
          }
          for (const result of results) expect(Buffer.compare(result, results[0]!)).toBe(0);
          expect(results[0]!.length).toBeGreaterThan(0);
        },
      ),
      { numRuns: RUNS },
    );
  });

  test('one program runs on shards of any length, one after the other', async () => {
    const code = createLinearCode({ algorithm: 'reed-solomon', dataShards: 5, parityShards: 2 });
    const wasm = createMemory(7 * 70_000);
    const coder = createCoder(code, wasmKernel(wasm));
    for (const frame of [1, 5 * 512, 5 * 1536, 5 * 4096, 5 * 4608, 5 * 65_536, 5 * 512]) {
      const length = code.shardLength(frame);
      const offsets = Array.from({ length: 7 }, (_, i) => i * length);
      new Uint8Array(wasm.buffer).set(someBytes(5 * length, frame));
      coder.encode(offsets, length);
      const plain = createMemory(7 * length);
      new Uint8Array(plain.buffer).set(someBytes(5 * length, frame));
      createCoder(code, portableKernel(plain)).encode(offsets, length);
      const [a, b] = [wasm, plain].map((memory) => new Uint8Array(memory.buffer, 0, 7 * length));
      expect(Buffer.compare(a!, b!)).toBe(0);
    }
  });

  test('calls that overlap in time do not mix', async () => {
    const code = createLinearCode({ algorithm: 'reed-solomon', dataShards: 4, parityShards: 2 });
    for (const make of Object.values(makers)) {
      const memory = createMemory(8 * 6 * 4096);
      const coder = createCoder(code, make(memory));
      const arena = new Uint8Array(memory.buffer);
      arena.set(someBytes(arena.length, 3));
      const slabs = Array.from({ length: 8 }, (_, s) =>
        Array.from({ length: 6 }, (_, i) => (s * 6 + i) * 4096),
      );
      await Promise.all(slabs.map((offsets) => coder.encode(offsets, 4096)));
      const together = arena.slice();
      for (const offsets of slabs) await coder.encode(offsets, 4096);
      expect(Buffer.compare(together, arena)).toBe(0);
    }
  });

  test('are chosen by what is allowed', async () => {
    const memory = createMemory(65_536);
    expect((await selectKernel({ native: false, wasm: true, memory })).name).toBe('wasm');
    expect((await selectKernel({ native: false, wasm: false, memory })).name).toBe('portable');
    const withNative = await selectKernel({ native: true, wasm: false, memory });
    expect(withNative.name).toBe('native' in makers ? 'native' : 'portable');
  });
});

/** Places in a mixed order with odd gaps, all multiples of 16. */
function scattered(shards: number, length: number, seed: number): number[] {
  const gap = 16 * (1 + (Math.abs(seed) % 13));
  const order = Array.from({ length: shards }, (_, i) => (i * 7 + Math.abs(seed % 5)) % shards);
  const distinct = new Set(order).size === shards ? order : order.map((_, i) => i);
  return distinct.map((place) => gap + place * (length + gap));
}

/** Shards lost one after the other as long as the rest decodes. */
function worstLoss(total: number, decodable: (available: number[]) => boolean, seed: number): number[] {
  const lost: number[] = [];
  for (let i = 0; i < total; i++) {
    const next = (i * 5 + Math.abs(seed % 11)) % total;
    if (!lost.includes(next) && decodable(without(total, [...lost, next]))) lost.push(next);
  }
  return lost;
}

function outside(arena: Uint8Array, offsets: readonly number[], length: number): Uint8Array {
  const rest = arena.slice();
  for (const offset of offsets) rest.fill(0xa5, offset, offset + length);
  return rest;
}
