/** One operation of the library in a process of its own: `child.js <put|get|range> <home> <config> <name> [file]`. */
import { type FileHandle, open } from 'node:fs/promises';
import { openVault, type Vault } from '../src/compose/open-vault.ts';
import { cpuSeconds, MIB } from './numbers.ts';

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

type Work = (vault: Vault) => Promise<number>;

async function main([what, home, config, name, file]: readonly string[]): Promise<void> {
  const fsyncs = await countFsyncs(config!);
  const requests: Record<string, number> = {};
  const vault = await openVault({
    home,
    config,
    observers: {
      onAttempt: ({ operation }) => {
        requests[operation] = (requests[operation] ?? 0) + 1;
      },
    },
  });
  const work: Record<string, Work> = {
    put: (vault) => put(vault, name!, file!),
    get: (vault) => get(vault, name!),
    range: (vault) => range(vault, name!),
  };
  const before = { ms: performance.now(), cpu: cpuSeconds() };
  const bytes = await work[what!]!(vault);
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

async function put(vault: Vault, name: string, file: string): Promise<number> {
  const handle = await open(file);
  try {
    return (await vault.putObject(handle, { name })).size;
  } finally {
    await handle.close();
  }
}

async function get(vault: Vault, name: string): Promise<number> {
  return drain((await vault.getObject(name)).borrow());
}

/** 64 KiB from the middle. */
async function range(vault: Vault, name: string): Promise<number> {
  const { size } = await vault.stat(name);
  return drain((await vault.getObject(name, { start: Math.floor(size / 2), length: MIB / 16 })).borrow());
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

await main(process.argv.slice(2));
