import { join } from 'node:path';
import { type Estimate, KernelTimes } from './kernel-times.ts';
import { median, sum } from './numbers.ts';

/** Processor seconds per GiB of plaintext that one kernel takes on one core. */
export interface KernelCost {
  readonly kernel: string;
  /** Bytes that pass through it, over bytes of plaintext. */
  readonly share: number;
  readonly secondsPerGib: number;
}

/** What a put and a get cannot do without, each kernel timed alone on the input, chunk by chunk through memory. */
export interface KernelSum {
  readonly put: readonly KernelCost[];
  readonly get: readonly KernelCost[];
}

export const total = (costs: readonly KernelCost[]): number =>
  sum(costs.map(({ secondsPerGib }) => secondsPerGib));

/** @param input a file of at least 36 MiB. @param dir where to write. */
export async function kernelSum(
  input: string,
  dir: string,
  estimate: Estimate = { repeats: 3, of: median },
): Promise<KernelSum> {
  const kernels = await KernelTimes.open(input, estimate);
  const { code } = kernels.coder;
  const stretch = code.totalShards / code.dataShards;
  const { stored, compress, decompress } = kernels.compression();
  const parity = await kernels.encode();
  const shards = stored * stretch;
  const hash = kernels.hash();
  const times = (kernel: string, share: number, perGib: number): KernelCost => ({
    kernel,
    share,
    secondsPerGib: share * perGib,
  });
  const [read, write] = [kernels.read(input), kernels.write(join(dir, 'kernel-write'))];
  const cipher = kernels.cipher();
  return {
    put: [
      times('read', 1, read),
      times('hash of the object', 1, hash),
      times('compress', 1, compress),
      times('cipher', stored, cipher),
      times('erasure encode', stored, parity),
      times('hash of the shards', shards, hash),
      times('hash of the packs', shards, hash),
      times('write', shards, write),
    ],
    get: [
      times('read', stored, read),
      times('hash of the shards', stored, hash),
      times('cipher', stored, cipher),
      times('decompress', 1, decompress),
    ],
  };
}
