import { entryOf } from '../src/core/maps.ts';
import type { Area } from './area.ts';
import { type Bodies, makeBodies, makeRoot, removePuts, writeBlobs } from './load-blobs.ts';
import { type LoadServer, type ServerName, startBare, startHoldfast, startNginx } from './load-servers.ts';
import { CONNECTIONS, middleResult, type WrkJob, type WrkResult, wrk } from './load-wrk.ts';
import { columns, MIB, median } from './numbers.ts';
import { installed } from './processes.ts';

const KIB64 = 64 * 1024;
const SECONDS = 2;
/** Few enough to stay in the node's cache. */
const HOT_BLOBS = 32;
/** Of each run; far more bytes than the node's cache holds. */
const COLD = { packs: 96, large: 768, small: 4096 } as const;
const PUTS = { large: 768, small: 2048 } as const;
/** What a vault puts, and how it reads them: some at a time. */
const PACK = 8 * MIB;

export interface LoadFigure extends WrkResult {
  readonly operation: string;
  readonly server: ServerName;
  /** Processor time of the server for one request. */
  readonly cpuMicros: number;
}

interface Operation {
  readonly name: string;
  readonly hot: boolean;
  /** Names of what it leaves. */
  readonly puts: readonly string[];
  job(server: LoadServer, run: number): Omit<WrkJob, 'url' | 'seconds'>;
}

/** Every server under the same load in turn, so that a busy machine is busy for all. Medians of each figure. */
export async function benchLoad(
  area: Area,
  runs: number,
  say: (text: string) => void,
): Promise<LoadFigure[]> {
  if (!installed('wrk')) throw new TypeError('wrk is not installed, and nothing else makes this load');
  const root = await makeRoot(area.dir);
  const operations = await prepare(root, area.dir, runs, say);
  const servers = await startAll(root, area.dir);
  const results = new Map<string, LoadFigure[]>();
  try {
    for (let run = 0; run < runs; run++) {
      for (const operation of operations) {
        for (const server of servers) {
          if (server.name === 'node:http memory' && !operation.hot) continue;
          say(`run ${run + 1}, ${operation.name}, ${server.name}`);
          const key = `${operation.name} ${server.name}`;
          const figure = await drive(area.dir, operation, server, run);
          entryOf(results, key, () => []).push(figure);
          await removePuts(root, area.dir, operation.puts);
        }
      }
    }
  } finally {
    for (const server of servers) await server.stop();
  }
  return [...results.values()].map(middle);
}

async function drive(
  dir: string,
  operation: Operation,
  server: LoadServer,
  run: number,
): Promise<LoadFigure> {
  const before = server.cpuSeconds();
  const result = await wrk(dir, { ...operation.job(server, run), url: server.url, seconds: SECONDS });
  const cpuMicros = (1e6 * (server.cpuSeconds() - before)) / result.requests;
  return { ...result, operation: operation.name, server: server.name, cpuMicros };
}

async function startAll(root: string, dir: string): Promise<LoadServer[]> {
  const servers = [
    await startHoldfast(root),
    await startNginx(root, dir),
    await startBare(root, dir, 'stream'),
    await startBare(root, dir, 'memory'),
  ];
  return servers.filter((server) => server !== undefined);
}

async function prepare(
  root: string,
  dir: string,
  runs: number,
  say: (text: string) => void,
): Promise<Operation[]> {
  say('writing blobs');
  const hot = {
    large: await writeBlobs(root, HOT_BLOBS, MIB),
    small: await writeBlobs(root, HOT_BLOBS, KIB64),
  };
  const cold: { packs: string[]; large: string[]; small: string[] }[] = [];
  for (let run = 0; run < runs; run++) {
    cold.push({
      packs: await writeBlobs(root, COLD.packs, PACK),
      large: await writeBlobs(root, COLD.large, MIB),
      small: await writeBlobs(root, COLD.small, KIB64),
    });
  }
  const get = (
    name: string,
    names: (run: number) => readonly string[],
    options: { hot: boolean; headers?: Record<string, string> },
  ): Operation => ({
    name,
    hot: options.hot,
    puts: [],
    job: ({ pathOf }, run) => ({
      method: 'GET',
      paths: names(run).map(pathOf),
      headers: options.headers ?? {},
      once: !options.hot,
    }),
  });
  const range = { Range: `bytes=${MIB / 2}-${MIB / 2 + KIB64 - 1}` };
  return [
    get('GET 1 MiB, hot', () => hot.large, { hot: true }),
    get('GET 64 KiB, hot', () => hot.small, { hot: true }),
    get('Range 64 KiB of 1 MiB, hot', () => hot.large, { hot: true, headers: range }),
    get('GET 1 MiB, first read', (run) => cold[run]!.large, { hot: false }),
    get('GET 64 KiB, first read', (run) => cold[run]!.small, { hot: false }),
    inRanges('Ranges 1 MiB of 8 MiB, first read', (run) => cold[run]!.packs),
    put('PUT 1 MiB', await makeBodies(dir, PUTS.large, MIB)),
    put('PUT 64 KiB', await makeBodies(dir, PUTS.small, KIB64)),
  ];
}

/** All of each, a MiB at a time. */
const inRanges = (name: string, names: (run: number) => readonly string[]): Operation => ({
  name,
  hot: false,
  puts: [],
  job({ pathOf }, run) {
    const starts = Array.from({ length: PACK / MIB }, (_, i) => i * MIB);
    return {
      method: 'GET',
      paths: names(run).flatMap((hex) => starts.map(() => pathOf(hex))),
      headers: {},
      ranges: names(run).flatMap(() => starts.map((at) => `bytes=${at}-${at + MIB - 1}`)),
      once: true,
    };
  },
});

const put = (name: string, { names, heads, tail }: Bodies): Operation => ({
  name,
  hot: false,
  puts: names,
  job: ({ putPathOf }) => ({
    method: 'PUT',
    paths: names.map(putPathOf),
    headers: {},
    heads,
    tail,
    once: true,
  }),
});

const middle = (figures: readonly LoadFigure[]): LoadFigure => ({
  ...figures[0]!,
  ...middleResult(figures),
  cpuMicros: median(figures.map(({ cpuMicros }) => cpuMicros)),
});

export function renderLoad(figures: readonly LoadFigure[]): string {
  const rate = (operation: string, server: ServerName): number | undefined =>
    figures.find((figure) => figure.operation === operation && figure.server === server)?.perSecond;
  const ratio = (figure: LoadFigure, server: ServerName): string => {
    const other = figure.server === server ? undefined : rate(figure.operation, server);
    return other === undefined ? '' : `${(figure.perSecond / other).toFixed(2)}x`;
  };
  const rows = figures.map((figure) => [
    `${figure.operation}: ${figure.server}`,
    figure.perSecond.toFixed(0),
    ...[figure.p50, figure.p95, figure.p99].map((ms) => ms.toFixed(1)),
    ratio(figure, 'nginx'),
    ratio(figure, 'node:http stream'),
    figure.cpuMicros.toFixed(0),
    String(figure.refused + figure.failed),
  ]);
  const head = ['', 'requests/s', 'p50 ms', 'p95', 'p99', 'of nginx', 'of a stream', 'CPU µs', 'errors'];
  return `one process each, wrk with ${CONNECTIONS} connections\n${columns([head, ...rows])}`;
}
