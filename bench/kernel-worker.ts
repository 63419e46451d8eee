/** The thread that kernels are timed in. */
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { type KernelSum, kernelSum } from './kernels.ts';
import { type MicroFigure, microBenchmarks } from './micro.ts';

/** As the pipeline's threads are set up: in a larger nursery the cipher takes twice as long, for page faults. */
const YOUNG_MB = 4;

type Job =
  | { readonly kind: 'sum'; readonly input: string; readonly dir: string }
  | { readonly kind: 'micro'; readonly input: string };

export const kernelSumApart = (input: string, dir: string): Promise<KernelSum> =>
  inThread({ kind: 'sum', input, dir });

export const microBenchmarksApart = (input: string): Promise<MicroFigure[]> =>
  inThread({ kind: 'micro', input });

function inThread<T>(job: Job): Promise<T> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), {
      workerData: job,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
    });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

const job = workerData as Job | null;
if (parentPort !== null && job !== null) {
  parentPort.postMessage(
    job.kind === 'sum' ? await kernelSum(job.input, job.dir) : await microBenchmarks(job.input),
  );
}
