import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { createCoder } from '../../../src/coding/erasure/coder.ts';
import { createLinearCode, DEFAULT_LRC, shardStride } from '../../../src/coding/erasure/index.ts';
import { portableKernel } from '../../../src/coding/erasure/kernel-portable.ts';
import { createSharedMemory } from '../../../src/core/wasm.ts';
import { range, someBytes } from './helpers.ts';

const WORKERS = [
  { native: false, wasm: true },
  { native: false, wasm: true },
  { native: true, wasm: false },
  { native: false, wasm: false },
];
const SLABS_EACH = 3;
const LENGTH = 4096;

/** The workers load the built package. */
test('workers on one arena, each with a kernel of its own, make the bytes of the reference', {
  timeout: 60_000,
}, async () => {
  const code = createLinearCode(DEFAULT_LRC);
  const slabs = range(WORKERS.length * SLABS_EACH).map((slab) =>
    code.generator.map((_, shard) => (slab * code.totalShards + shard) * shardStride(LENGTH)),
  );
  const size = slabs.length * code.totalShards * shardStride(LENGTH);
  const arenas = [createSharedMemory(size), createSharedMemory(size)] as const;
  for (const memory of arenas) {
    const bytes = new Uint8Array(memory.buffer);
    for (const [s, offsets] of slabs.entries()) {
      for (let i = 0; i < code.dataShards; i++) bytes.set(someBytes(LENGTH, s * 100 + i + 1), offsets[i]);
    }
  }
  const names = await Promise.all(
    WORKERS.map(async (allowed, w) => {
      const mine = slabs.slice(w * SLABS_EACH, (w + 1) * SLABS_EACH);
      const workerData = {
        memory: arenas[0],
        params: DEFAULT_LRC,
        slabs: mine,
        length: LENGTH,
        rounds: 20,
        lost: [0, 2, 7, 8, 21],
        allowed,
      };
      const worker = new Worker(new URL('./children/coder-worker.mjs', import.meta.url), { workerData });
      try {
        return (await once(worker, 'message', { signal: AbortSignal.timeout(50_000) }))[0] as string;
      } finally {
        await worker.terminate();
      }
    }),
  );
  expect(names.slice(0, 2)).toEqual(['wasm', 'wasm']);
  expect(names[3]).toBe('portable');
  const reference = createCoder(code, portableKernel(arenas[1]));
  for (const offsets of slabs) reference.encode(offsets, LENGTH);
  const [shared, plain] = arenas.map((memory) => Buffer.from(new Uint8Array(memory.buffer)));
  expect(shared!.equals(plain!)).toBe(true);
});
