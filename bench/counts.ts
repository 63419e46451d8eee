import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Area, warmPages } from './area.ts';
import { createVault, freshFolder, removeFolder } from './holdfast.ts';
import type { Input } from './inputs.ts';
import { columns, GIB, MIB, sum } from './numbers.ts';
import { installed } from './processes.ts';

/** The least `packs.target_bytes` may be: every chunk is a segment, so a pack is one chunk's shards for one provider. */
const NO_PACKS = '[packs]\ntarget_bytes = "64 KiB"\n';
const FSYNCS = ['fsync', 'fdatasync', 'sync_file_range', 'syncfs', 'sync', 'msync'];

export interface CountsFigure {
  readonly name: string;
  /** All per GiB of plaintext. */
  readonly requests: number;
  readonly files: number;
  /** By file handles of JavaScript: those of the providers. */
  readonly fsyncs: number;
  /** By every thread of the process, as strace saw them: the engine's too. */
  readonly syncCalls: number | undefined;
  readonly getRequests: number;
  readonly mibPerSecond: number;
  readonly cpuPerGib: number;
}

/** What a put and a get ask of nine and of 27 providers, with packs and with as little packing as can be configured. */
export async function benchCounts(
  area: Area,
  input: Input,
  say: (text: string) => void,
): Promise<CountsFigure[]> {
  const figures: CountsFigure[] = [];
  for (const providers of [9, 27]) {
    for (const sections of ['', NO_PACKS]) {
      const perBlob = 27 / providers;
      const unpacked = perBlob === 1 ? 'a blob per shard' : `a blob per ${perBlob} shards`;
      const name = `${providers} providers, ${sections === '' ? 'packs of 8 MiB' : unpacked}`;
      say(name);
      figures.push(await count(area, input, name, providers, sections));
    }
  }
  return figures;
}

async function count(
  area: Area,
  input: Input,
  name: string,
  providers: number,
  sections: string,
): Promise<CountsFigure> {
  await warmPages(area, 1.8 * input.bytes);
  const dir = await freshFolder(area.dir, 'counts');
  const vault = await createVault(dir, { providers, sections });
  const gib = input.bytes / GIB;
  try {
    const put = await vault.run({ what: 'put', name: 'object', file: input.file });
    const { files } = await vault.stored();
    const get = await vault.run({ what: 'get', name: 'object' });
    return {
      name,
      requests: sum(Object.values(put.requests)) / gib,
      files: files / gib,
      fsyncs: put.fsyncs / gib,
      syncCalls: await syncCalls(area, input, providers, sections),
      getRequests: sum(Object.values(get.requests)) / gib,
      mibPerSecond: input.bytes / MIB / (put.ms / 1000),
      cpuPerGib: put.processCpuSeconds / gib,
    };
  } finally {
    await removeFolder(dir);
  }
}

/** The same put again under strace, which is too slow to be timed. Undefined where there is no strace. */
async function syncCalls(
  area: Area,
  input: Input,
  providers: number,
  sections: string,
): Promise<number | undefined> {
  if (!installed('strace')) return undefined;
  const dir = await freshFolder(area.dir, 'counts');
  const vault = await createVault(dir, { providers, sections });
  const report = join(dir, 'strace');
  const strace = ['strace', '-f', '-c', '-e', `trace=${FSYNCS.join(',')}`, '-o', report];
  await vault.run({ what: 'put', name: 'object', file: input.file }, { under: strace });
  // Its lines: % time, seconds, usecs/call, calls, errors if any, name.
  const calls = (await readFile(report, 'utf8'))
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => FSYNCS.includes(fields.at(-1)!))
    .map((fields) => Number(fields[3]));
  return sum(calls) / (input.bytes / GIB);
}

export function renderCounts(figures: readonly CountsFigure[]): string {
  const head = [
    'per GiB, each once',
    'put requests',
    'files',
    'fsyncs',
    'by strace',
    'get requests',
    'put MiB/s',
    'CPU s/GiB',
  ];
  const rows = figures.map((figure) => [
    figure.name,
    ...[figure.requests, figure.files, figure.fsyncs].map((value) => value.toFixed(0)),
    figure.syncCalls?.toFixed(0) ?? 'no strace',
    figure.getRequests.toFixed(0),
    figure.mibPerSecond.toFixed(0),
    figure.cpuPerGib.toFixed(2),
  ]);
  return columns([head, ...rows]);
}
