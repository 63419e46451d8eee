import { workerData } from 'node:worker_threads';
import { TileMemory } from '../../coding/erasure/xor-program.ts';
import { systemClock } from '../../core/clock.ts';
import { doJobs } from '../../core/worker-thread.ts';
import { decodeChunk, rebuildShards } from './decode.ts';
import { encodeChunk } from './encode.ts';
import { hashRanges } from './inline.ts';
import type { WorkerJob, WorkerSetup } from './jobs.ts';
import { loadPrimitives } from './primitives.ts';

const { memory, acceleration, tiles } = workerData as WorkerSetup;
const loading = loadPrimitives(memory, acceleration, systemClock, new TileMemory(tiles));

doJobs<WorkerJob>(async (work) => {
  const primitives = await loading;
  if (work.kind === 'encode') return encodeChunk(work.job, primitives);
  if (work.kind === 'decode') return decodeChunk(work.job, primitives);
  if (work.kind === 'rebuild') return rebuildShards(work.job, primitives);
  return hashRanges(work.job, primitives);
});
