import { parentPort, workerData } from 'node:worker_threads';
import { TileMemory } from '../../coding/erasure/xor-program.ts';
import { systemClock } from '../../core/clock.ts';
import { asHoldfastError } from '../../core/errors.ts';
import { decodeChunk, rebuildShards } from './decode.ts';
import { encodeChunk } from './encode.ts';
import { hashRanges } from './inline.ts';
import { loadPrimitives, type Primitives } from './primitives.ts';
import type { SerializedError, WorkerAnswer, WorkerJob, WorkerSetup } from './worker-thread.ts';

const { memory, acceleration, tiles } = workerData as WorkerSetup;
const primitives = loadPrimitives(memory, acceleration, systemClock, new TileMemory(tiles));

async function answer(work: WorkerJob, primitives: Primitives): Promise<unknown> {
  if (work.kind === 'encode') return encodeChunk(work.job, primitives);
  if (work.kind === 'decode') return decodeChunk(work.job, primitives);
  if (work.kind === 'rebuild') return rebuildShards(work.job, primitives);
  return hashRanges(work.job, primitives);
}

parentPort!.on('message', async ({ id, work }: { id: number; work: WorkerJob }) => {
  let message: WorkerAnswer;
  try {
    message = { id, ok: await answer(work, await primitives) };
  } catch (thrown) {
    message = { id, error: asHoldfastError(thrown).toJSON() as unknown as SerializedError };
  }
  parentPort!.postMessage(message);
});
