import { join } from 'node:path';
import { type Area, warmPages } from './area.ts';
import { type BenchRun, createVault, freshFolder, type Operation, removeFolder } from './holdfast.ts';
import type { Input } from './inputs.ts';
import { type LoadServer, startHoldfast } from './load-servers.ts';
import { columns, GIB, MIB, median } from './numbers.ts';
import { cpuSecondsOf } from './proc.ts';

const NODES = 9;
/** In MiB/s. */
const GOALS = { put: 350, get: 500 } as const;

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

/**
 * Nine storage nodes, a process each, behind one vault on the same machine. They run on from put to put, as servers do;
 * a put overwrites the one before. Medians.
 */
export async function benchNodes(
  area: Area,
  input: Input,
  runs: number,
  say: (text: string) => void,
): Promise<NodesFigure[]> {
  const samples: NodesFigure[] = [];
  const dir = await freshFolder(area.dir, 'nodes');
  const nodes: LoadServer[] = [];
  try {
    for (let i = 1; i <= NODES; i++) {
      nodes.push(await startHoldfast(join(dir, `n${i}`), ['--init', '--max-body', String(64 * MIB)]));
    }
    const vault = await createVault(dir, { providers: nodes.map(({ url }) => url) });
    const timed = async (operation: Operation & { what: 'put' | 'get' }): Promise<void> => {
      const before = processorSeconds(nodes);
      const run = await vault.run(operation);
      samples.push(figureOf(operation.what, run, processorSeconds(nodes) - before));
      say(`${operation.what} at nodes: ${(run.bytes / MIB / (run.ms / 1000)).toFixed(0)} MiB/s`);
    };
    await warmPages(area, 1.8 * input.bytes);
    for (let run = 0; run < runs; run++) {
      await timed({ what: 'put', name: 'object', file: input.file });
      await timed({ what: 'get', name: 'object' });
    }
  } finally {
    for (const node of nodes) await node.stop();
    await removeFolder(dir);
  }
  return (['put', 'get'] as const).map((operation) =>
    medianOf(samples.filter((sample) => sample.operation === operation)),
  );
}

function medianOf(all: readonly NodesFigure[]): NodesFigure {
  const of = (value: (sample: NodesFigure) => number): number => median(all.map(value));
  const { operation, bytes } = all[0]!;
  return {
    operation,
    bytes,
    ms: of(({ ms }) => ms),
    clientSeconds: of(({ clientSeconds }) => clientSeconds),
    nodeSeconds: of(({ nodeSeconds }) => nodeSeconds),
    clientRss: of(({ clientRss }) => clientRss),
    requests: of(({ requests }) => requests),
  };
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

const processorSeconds = (nodes: readonly LoadServer[]): number =>
  nodes.reduce((sum, { pid }) => sum + cpuSecondsOf(pid), 0);

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
