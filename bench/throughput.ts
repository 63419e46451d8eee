import { stat } from 'node:fs/promises';
import { entryOf } from '../src/core/maps.ts';
import { type Area, warmPages } from './area.ts';
import { createVault } from './holdfast.ts';
import { kernelSumApart } from './kernel-worker.ts';
import { type KernelSum, total } from './kernels.ts';
import { GIB, MIB, median, sum } from './numbers.ts';
import { PEERS, present } from './peers.ts';

/** Medians over the runs. */
export interface Figure {
  readonly operation: string;
  /** Of the operation alone; of the whole process for other programs. */
  readonly mibPerSecond: number;
  /** Of the whole process, its start included. */
  readonly wholeMibPerSecond: number;
  /** Processor seconds, user and system, of the whole process per GiB of plaintext. */
  readonly cpuPerGib: number;
  readonly peakRss: number;
  readonly requestsPerGib?: number | undefined;
  readonly fsyncsPerGib?: number | undefined;
  readonly filesPerGib?: number | undefined;
  readonly storedRatio?: number | undefined;
  /** Processor seconds per GiB of the kernels alone, and how many times that we take. */
  readonly kernels?: { readonly perGib: number; readonly times: number } | undefined;
}

export interface Throughput {
  readonly input: string;
  readonly bytes: number;
  readonly kernelSum: KernelSum | undefined;
  readonly ours: readonly Figure[];
  readonly peers: readonly (Figure & { readonly peer: string })[];
}

interface Sample {
  readonly ms: number;
  readonly wallMs: number;
  readonly cpuSeconds: number;
  readonly peakRss: number;
  readonly requests?: number;
  readonly fsyncs?: number;
}

export interface Wanted {
  readonly runs: number;
  readonly kernels: boolean;
  readonly peers: boolean;
  readonly say: (line: string) => void;
}

/** Put, get, get without three providers and a range, ours and other programs', on one input. */
export async function throughput(
  area: Area,
  input: string,
  file: string,
  { runs, kernels, peers, say }: Wanted,
): Promise<Throughput> {
  const bytes = (await stat(file)).size;
  const kernelSum = kernels ? await kernelSumApart(file, area.dir) : undefined;
  const samples = new Map<string, Sample[]>();
  const add = (operation: string, sample: Sample): void => {
    entryOf(samples, operation, () => []).push(sample);
    say(`${operation}: ${(bytes / MIB / (sample.ms / 1000)).toFixed(0)} MiB/s`);
  };
  let stored = { files: 0, bytes: 0 };
  for (let run = 0; run < runs; run++) {
    await warmPages(area, 1.8 * bytes);
    stored = await ourRun(area, file, add);
  }
  const ours = [...samples].map(([operation, all]) => {
    const figure = summary(operation, all, operation === 'range 64 KiB' ? MIB / 16 : bytes);
    const limit = operation === 'put' ? kernelSum?.put : operation === 'get' ? kernelSum?.get : undefined;
    const perGib = limit === undefined ? undefined : total(limit);
    return {
      ...figure,
      ...(operation === 'put' && {
        filesPerGib: stored.files / (bytes / GIB),
        storedRatio: stored.bytes / bytes,
      }),
      ...(perGib !== undefined && { kernels: { perGib, times: figure.cpuPerGib / perGib } }),
    };
  });
  return {
    input,
    bytes,
    kernelSum,
    ours,
    peers: peers ? await others(area, file, bytes, runs, say) : [],
  };
}

async function ourRun(
  area: Area,
  file: string,
  add: (operation: string, sample: Sample) => void,
): Promise<{ files: number; bytes: number }> {
  const vault = await createVault(area.dir);
  const operation = async (name: string, what: 'put' | 'get' | 'range'): Promise<void> => {
    const report = await vault.run({ what, name: 'object', file });
    const requests = sum(Object.values(report.requests));
    add(name, { ...report, cpuSeconds: report.processCpuSeconds, requests });
  };
  try {
    await operation('put', 'put');
    const stored = await vault.stored();
    await operation('get', 'get');
    await operation('range 64 KiB', 'range');
    await vault.vanish(true);
    await operation('get, three gone', 'get');
    return stored;
  } finally {
    await vault.remove();
  }
}

async function others(
  area: Area,
  file: string,
  bytes: number,
  runs: number,
  say: (line: string) => void,
): Promise<(Figure & { peer: string })[]> {
  const figures: (Figure & { peer: string })[] = [];
  for (const peer of PEERS.filter(present)) {
    const samples = new Map<string, Sample[]>();
    let stored = 0;
    for (let run = 0; run < runs; run++) {
      await warmPages(area, 1.2 * bytes);
      const vault = await peer.prepare(area.dir);
      const add = (operation: string, sample: Omit<Sample, 'wallMs'>): void => {
        entryOf(samples, operation, () => []).push({ ...sample, wallMs: sample.ms });
        say(`${peer.name} ${operation}: ${(bytes / MIB / (sample.ms / 1000)).toFixed(0)} MiB/s`);
      };
      add('put', await vault.put(file));
      stored = await vault.storedBytes();
      add('get', await vault.get());
      add('range 64 KiB', await vault.range(bytes));
      await vault.remove();
    }
    for (const [operation, all] of samples) {
      const moved = operation === 'range 64 KiB' ? MIB / 16 : bytes;
      const storedRatio = operation === 'put' ? stored / bytes : undefined;
      figures.push({ peer: peer.name, ...summary(operation, all, moved), storedRatio });
    }
  }
  return figures;
}

function summary(operation: string, samples: readonly Sample[], bytes: number): Figure {
  const of = (value: (sample: Sample) => number): number => median(samples.map(value));
  const gib = bytes / GIB;
  const { requests, fsyncs } = samples[0]!;
  return {
    operation,
    mibPerSecond: bytes / MIB / (of(({ ms }) => ms) / 1000),
    wholeMibPerSecond: bytes / MIB / (of(({ wallMs }) => wallMs) / 1000),
    cpuPerGib: of(({ cpuSeconds }) => cpuSeconds) / gib,
    peakRss: of(({ peakRss }) => peakRss),
    ...(requests !== undefined && { requestsPerGib: requests / gib }),
    ...(fsyncs !== undefined && { fsyncsPerGib: fsyncs / gib }),
  };
}
