// Encodes its slabs of a shared arena again and again, loses shards and rebuilds them; answers with its kernel's name.
import { parentPort, workerData } from 'node:worker_threads';
import { createCoder, createLinearCode, selectKernel } from '../../../../dist/coding/erasure/index.js';

const { memory, params, slabs, length, rounds, lost, allowed } = workerData;
const code = createLinearCode(params);
const kernel = await selectKernel({ ...allowed, memory });
const coder = createCoder(code, kernel);
const bytes = new Uint8Array(memory.buffer);
const available = Array.from({ length: code.totalShards }, (_, i) => i).filter((i) => !lost.includes(i));

for (let round = 0; round < rounds; round++) {
  for (const offsets of slabs) {
    await coder.encode(offsets, length);
    for (const shard of lost) bytes.fill(round, offsets[shard], offsets[shard] + length);
    await coder.rebuild(offsets, length, lost, available);
  }
}
parentPort.postMessage(kernel.name);
