/** One operation of the library in a process of its own: `child.js <ChildJob as JSON>`. */
import { type FileHandle, open } from 'node:fs/promises';
import type { Vault } from '../src/vault/vault.ts';
import { generated } from './generated.ts';
import { cpuSeconds, MIB } from './numbers.ts';

export interface ChildJob {
  /** `range`: 64 KiB from the middle. `generate`: a put of bytes that lie nowhere before. */
  readonly what: 'put' | 'get' | 'range' | 'generate';
  readonly home: string;
  readonly config: string;
  /** Of the object. Several: a number follows. */
  readonly name: string;
  /** What a put reads. */
  readonly file?: string;
  /** Puts this much of the file, or generates it. */
  readonly bytes?: number;
  /** Puts or gets this many, one after the other, each of `bytes`. */
  readonly objects?: number;
}

/** What a child prints, as JSON. */
export interface ChildReport {
  /** Plaintext moved. */
  readonly bytes: number;
  /** The operation alone. */
  readonly ms: number;
  readonly cpuSeconds: number;
  /** Of the whole process: start, opening and closing the vault too. */
  readonly processCpuSeconds: number;
  readonly peakRss: number;
  /** Attempts at providers, by operation. */
  readonly requests: Readonly<Record<string, number>>;
  readonly fsyncs: number;
}

/** The library as it is shipped, in few files: a process that reads 64 KiB mostly loads code. */
const LIBRARY = new URL('../../dist/index.js', import.meta.url).href;

type Work = (vault: Vault, job: ChildJob) => Promise<number>;

const WORK: Record<ChildJob['what'], Work> = {
  put: (vault, job) => (job.objects === undefined ? put(vault, job) : putMany(vault, job)),
  get: async (vault, { name, objects }) => {
    if (objects === undefined) return drain((await vault.getObject(name)).borrow());
    let bytes = 0;
    for (let i = 0; i < objects; i++) bytes += await drain((await vault.getObject(`${name}${i}`)).borrow());
    return bytes;
  },
  range: async (vault, { name }) => {
    const { size } = await vault.statObject(name);
    const part = await vault.getObject(name, { start: Math.floor(size / 2), length: MIB / 16 });
    return drain(part.borrow());
  },
  generate: async (vault, { name, bytes }) => (await vault.putObject(generated(bytes!), { name })).size,
};

async function main(job: ChildJob): Promise<void> {
  const fsyncs = await countFsyncs(job.config);
  const requests: Record<string, number> = {};
  const { openVault } = (await import(LIBRARY)) as typeof import('../src/index.ts');
  const vault = await openVault({
    home: job.home,
    config: job.config,
    onAttempt: ({ operation }) => {
      requests[operation] = (requests[operation] ?? 0) + 1;
    },
  });
  const before = { ms: performance.now(), cpu: cpuSeconds() };
  const bytes = await WORK[job.what](vault, job);
  const after = { ms: performance.now(), cpu: cpuSeconds() };
  await vault.close();
  const report: ChildReport = {
    bytes,
    ms: after.ms - before.ms,
    cpuSeconds: after.cpu - before.cpu,
    processCpuSeconds: cpuSeconds(),
    peakRss: process.resourceUsage().maxRSS * 1024,
    requests,
    fsyncs: fsyncs.count,
  };
  process.stdout.write(JSON.stringify(report));
}

async function put(vault: Vault, { name, file }: ChildJob): Promise<number> {
  const handle = await open(file!);
  try {
    return (await vault.putObject(handle, { name })).size;
  } finally {
    await handle.close();
  }
}

/** Different parts of the file, as far as it goes. */
async function putMany(vault: Vault, { name, file, bytes, objects }: ChildJob): Promise<number> {
  const handle = await open(file!);
  const buffer = new Uint8Array(bytes!);
  let sum = 0;
  try {
    const places = Math.max(1, Math.floor((await handle.stat()).size / bytes!));
    for (let i = 0; i < objects!; i++) {
      await handle.read(buffer, 0, bytes!, (i % places) * bytes!);
      sum += (await vault.putObject(buffer, { name: `${name}${i}` })).size;
    }
  } finally {
    await handle.close();
  }
  return sum;
}

async function drain(pieces: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const piece of pieces) bytes += piece.length;
  return bytes;
}

/** Counts what file handles are asked to flush from now on. @param anyFile one that can be opened. */
async function countFsyncs(anyFile: string): Promise<{ count: number }> {
  const counter = { count: 0 };
  const handle = await open(anyFile);
  const shared = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  for (const method of ['sync', 'datasync'] as const) {
    const original = shared[method];
    shared[method] = function (this: FileHandle): Promise<void> {
      counter.count++;
      return original.call(this);
    };
  }
  return counter;
}

await main(JSON.parse(process.argv[2]!) as ChildJob);
