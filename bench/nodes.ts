import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Area, warmPages } from './area.ts';
import { type BenchRun, createVault, freshFolder, type Operation } from './holdfast.ts';
import type { Input } from './inputs.ts';
import { type LoadServer, startHoldfast } from './load-servers.ts';
import { columns, GIB, MIB, median } from './numbers.ts';

const NODES = 9;
/** In MiB/s. */
const GOALS = { put: 350, get: 500 } as const;
/** Linux counts processor time in hundredths of a second whatever the machine. */
const TICKS_PER_SECOND = 100;

export interface NodesFigure {
  readonly operation: 'put' | 'get';
  readonly bytes: number;
  readonly ms: number;
  /** Processor seconds: of the client's whole process, and of the nine nodes together while it ran. */
  readonly clientSeconds: number;
  readonly nodeSeconds: number;
  readonly clientRss: number;
  readonly requests: number;
}

/** Nine storage nodes, a process each, behind one vault on the same machine. Medians. */
export async function benchNodes(
  area: Area,
  input: Input,
  runs: number,
  say: (text: string) => void,
): Promise<NodesFigure[]> {
  const samples: NodesFigure[] = [];
  for (let run = 0; run < runs; run++) samples.push(...(await oneRun(area, input, say)));
  return (['put', 'get'] as const).map((operation) => {
    const all = samples.filter((sample) => sample.operation === operation);
    const of = (value: (sample: NodesFigure) => number): number => median(all.map(value));
    return {
      operation,
      bytes: all[0]!.bytes,
      ms: of(({ ms }) => ms),
      clientSeconds: of(({ clientSeconds }) => clientSeconds),
      nodeSeconds: of(({ nodeSeconds }) => nodeSeconds),
      clientRss: of(({ clientRss }) => clientRss),
      requests: of(({ requests }) => requests),
    };
  });
}

async function oneRun(area: Area, input: Input, say: (text: string) => void): Promise<NodesFigure[]> {
  const dir = await freshFolder(area.dir, 'nodes');
  const nodes: LoadServer[] = [];
  try {
    for (let i = 1; i <= NODES; i++) {
      nodes.push(await startHoldfast(join(dir, `n${i}`), ['--init', '--max-body', String(64 * MIB)]));
    }
    const vault = await createVault(dir, { providers: nodes.map(({ url }) => url) });
    const timed = async (operation: Operation & { what: 'put' | 'get' }): Promise<NodesFigure> => {
      const before = processorSeconds(nodes);
      const run = await vault.run(operation);
      const nodeSeconds = processorSeconds(nodes) - before;
      say(`${operation.what} at nodes: ${(run.bytes / MIB / (run.ms / 1000)).toFixed(0)} MiB/s`);
      return figureOf(operation.what, run, nodeSeconds);
    };
    await warmPages(area, 1.8 * input.bytes);
    return [
      await timed({ what: 'put', name: 'object', file: input.file }),
      await timed({ what: 'get', name: 'object' }),
    ];
  } finally {
    for (const node of nodes) await node.stop();
    await freshFolder(area.dir, 'nodes');
  }
}

function figureOf(operation: 'put' | 'get', run: BenchRun, nodeSeconds: number): NodesFigure {
  return {
    operation,
    bytes: run.bytes,
    ms: run.ms,
    clientSeconds: run.processCpuSeconds,
    nodeSeconds,
    clientRss: run.peakRss,
    requests: Object.values(run.requests).reduce((a, b) => a + b, 0),
  };
}

/** User and system, of all threads of these processes. */
function processorSeconds(nodes: readonly LoadServer[]): number {
  const ticks = nodes.map(({ pid }) => {
    // The name in brackets may hold anything; what follows are numbers.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((a, b) => a + b, 0) / TICKS_PER_SECOND;
}

export function renderNodes(figures: readonly NodesFigure[]): string {
  const rows = figures.map(({ operation, bytes, ms, clientSeconds, nodeSeconds, clientRss, requests }) => {
    const gib = bytes / GIB;
    return [
      operation,
      (bytes / MIB / (ms / 1000)).toFixed(0),
      String(GOALS[operation]),
      (clientSeconds / gib).toFixed(2),
      (nodeSeconds / gib).toFixed(2),
      (clientRss / MIB).toFixed(0),
      (requests / gib).toFixed(0),
    ];
  });
  const head = [
    'nine storage nodes on loopback',
    'MiB/s',
    'goal',
    'client CPU s/GiB',
    'nodes',
    'client RSS MiB',
    'requests/GiB',
  ];
  return columns([head, ...rows]);
}
