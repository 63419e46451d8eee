import { workerData } from 'node:worker_threads';
import type { Acceleration } from '../../core/acceleration.ts';
import { asHoldfastError } from '../../core/errors.ts';
import type { WasmMemory } from '../../core/wasm.ts';
import { decodeChunk } from './decode.ts';
import { encodeChunk } from './encode.ts';
import { hashRanges } from './inline.ts';
import type { DecodeJob, EncodeJob, HashJob } from './jobs.ts';
import { loadPrimitives } from './primitives.ts';

export interface WorkerSetup {
  readonly memory: WasmMemory;
  readonly acceleration: Acceleration;
}

export type WorkerJob =
  | { readonly kind: 'encode'; readonly job: EncodeJob }
  | { readonly kind: 'decode'; readonly job: DecodeJob }
  | { readonly kind: 'hash'; readonly job: HashJob };

const { memory, acceleration } = workerData as WorkerSetup;
const primitives = loadPrimitives(memory, acceleration);

/** Errors cross the thread border as data: a class would arrive as a plain `Error`. */
export default async function run(work: WorkerJob): Promise<{ ok: unknown } | { error: unknown }> {
  try {
    const use = await primitives;
    if (work.kind === 'encode') return { ok: await encodeChunk(work.job, use) };
    if (work.kind === 'decode') return { ok: await decodeChunk(work.job, use) };
    return { ok: hashRanges(work.job, use) };
  } catch (thrown) {
    return { error: asHoldfastError(thrown).toJSON() };
  }
}
