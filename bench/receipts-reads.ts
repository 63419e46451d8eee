import { closeSync, openSync, readSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

/** Milliseconds. */
export interface ReadFigures {
  /** Of reads while nothing is acknowledged, and while as much is as can be: 99 of 100 take no longer. */
  readonly quietP99: number;
  readonly besideP99: number;
  /** Of a turn of the loop that serves them: how long it took, and what this thread computed in it. */
  readonly turnP99: number;
  readonly turnMax: number;
  readonly turnCpuP99: number;
  readonly turnCpuMax: number;
}

export interface ReadMeter {
  /** Reads go on while it works, and are counted as one kind. */
  during(kind: 'quiet' | 'beside', work: () => Promise<void>): Promise<void>;
  end(): Promise<ReadFigures>;
}

const BODY = Buffer.alloc(16_384, 7);
const now = (): number => Number(process.hrtime.bigint()) / 1e6;
const p99 = (values: readonly number[]): number =>
  Float64Array.from(values).sort()[Math.floor(values.length * 0.99)] ?? Number.NaN;

/** Serves small reads from this thread to a reader on another. @param begin what a gateway does for a read before it answers. */
export async function meterReads(begin: () => string): Promise<ReadMeter> {
  const server = createServer((_, answer) => {
    answer.writeHead(200, { 'holdfast-read': begin(), 'content-length': BODY.length });
    answer.end(BODY);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const reader = new Worker(new URL('./receipts-reader.js', import.meta.url), { workerData: { port } });
  const reads: [began: number, took: number][] = [];
  reader.on('message', (read: [number, number]) => reads.push(read));
  const windows: { kind: string; from: number; to: number }[] = [];
  const turns = { wall: [] as number[], cpu: [] as number[] };
  const p99Of = (kind: string): number => {
    const mine = windows.filter((window) => window.kind === kind);
    const isIn = (at: number): boolean => mine.some(({ from, to }) => at >= from && at < to);
    return p99(reads.filter(([began]) => isIn(began)).map(([, took]) => took));
  };
  return {
    async during(kind, work) {
      const from = now();
      let isOver = false;
      const looks = kind === 'beside' ? lookAtTurns(turns, () => isOver) : undefined;
      await work();
      isOver = true;
      await looks;
      windows.push({ kind, from, to: now() });
    },
    async end() {
      await reader.terminate();
      server.closeAllConnections();
      server.close();
      return {
        ...{ quietP99: p99Of('quiet'), besideP99: p99Of('beside') },
        ...{ turnP99: p99(turns.wall), turnMax: Math.max(...turns.wall) },
        ...{ turnCpuP99: p99(turns.cpu), turnCpuMax: Math.max(...turns.cpu) },
      };
    },
  };
}

/** A turn of the loop every millisecond, as an answer that just came has to wait for it. */
async function lookAtTurns(
  turns: { readonly wall: number[]; readonly cpu: number[] },
  isOver: () => boolean,
): Promise<void> {
  // This thread has the number of the process. First there is what it ran, in nanoseconds.
  const stat = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r');
  const text = Buffer.alloc(80);
  const ran = (): number => {
    const length = readSync(stat, text, 0, text.length, 0);
    return Number(text.toString('latin1', 0, length).split(' ')[0]) / 1e6;
  };
  while (!isOver()) {
    const [began, before] = [performance.now(), ran()];
    await new Promise((resolve) => setImmediate(resolve));
    turns.cpu.push(ran() - before);
    turns.wall.push(performance.now() - began);
    await sleep(1);
  }
  closeSync(stat);
}
