import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { findConfig } from '../src/compose/load-config.ts';
import { openVault } from '../src/compose/open-vault.ts';
import { secureRandom } from '../src/core/random.ts';
import type { Area } from './area.ts';
import { COMMAND, CONFIG, createVault } from './holdfast.ts';
import { type WrkJob, type WrkResult, wrk } from './load-wrk.ts';
import { columns, MIB, median } from './numbers.ts';
import { installed } from './processes.ts';

const SECONDS = 2;
const CONNECTIONS = 16;
const START_MS = 20_000;
const KIB64 = 64 * 1024;
/** Few enough to stay in the cache of chunks. */
const HOT_OBJECTS = 16;
/** More bytes than the cache of chunks holds. */
const COLD_OBJECTS = 256;
const LARGE_BYTES = 256 * MIB;
/** How many places of the large object are read in a run. */
const PLACES = 4096;

export interface GatewayFigure extends WrkResult {
  readonly operation: string;
  readonly cache: string;
  readonly cpuMs: number;
  readonly rssMib: number;
}

interface Objects {
  readonly hot: readonly string[];
  readonly cold: readonly string[];
  readonly large: string;
}

type Job = Pick<WrkJob, 'paths' | 'ranges' | 'once'>;

/** `holdfast gateway` over nine folders, with its cache of chunks and without. Medians of each figure. */
export async function benchGateway(
  area: Area,
  runs: number,
  say: (text: string) => void,
): Promise<GatewayFigure[]> {
  if (!installed('wrk')) throw new TypeError('wrk is not installed, and nothing else makes this load');
  const vault = await createVault(area.dir);
  say('putting objects');
  const objects = await putObjects(vault.home);
  const results = new Map<string, GatewayFigure[]>();
  for (let run = 0; run < runs; run++) {
    for (const [cache, flags] of CACHES) {
      const gateway = await startGateway(vault.home, flags);
      try {
        // Not measured: threads start, and code is compiled.
        await measured(area.dir, gateway, { paths: objects.cold, once: false });
        for (const [operation, job] of operationsOn(objects)) {
          say(`run ${run + 1}, ${operation}, kept: ${cache}`);
          const figure = { ...(await measured(area.dir, gateway, job)), operation, cache };
          const key = `${operation} ${cache}`;
          results.set(key, [...(results.get(key) ?? []), figure]);
        }
      } finally {
        gateway.child.kill('SIGTERM');
        await once(gateway.child, 'close');
      }
    }
  }
  await vault.remove();
  return [...results.values()].map(middle);
}

const CACHES: readonly (readonly [string, readonly string[]])[] = [
  ['none', ['--manifest-cache-bytes', '0', '--chunk-cache-bytes', '0']],
  ['manifests', ['--chunk-cache-bytes', '0']],
  ['manifests and chunks', []],
];

async function putObjects(home: string): Promise<Objects> {
  const config = await findConfig({ file: CONFIG, home, env: {}, cwd: home });
  const vault = await openVault({ config, env: {} });
  const put = async (bytes: number): Promise<string> =>
    `/m/${(await vault.putObject(secureRandom(bytes))).manifest}`;
  const many = async (count: number): Promise<string[]> => {
    const paths: string[] = [];
    for (let i = 0; i < count; i++) paths.push(await put(MIB));
    return paths;
  };
  try {
    return { large: await put(LARGE_BYTES), hot: await many(HOT_OBJECTS), cold: await many(COLD_OBJECTS) };
  } finally {
    await vault.close();
  }
}

function operationsOn({ hot, cold, large }: Objects): [string, Job][] {
  const places = Array.from({ length: PLACES }, (_, i) => i);
  const inLarge = (starts: readonly number[]): Job => ({
    paths: starts.map(() => large),
    ranges: starts.map((start) => `bytes=${start}-${start + KIB64 - 1}`),
    once: false,
  });
  // A stride that is odd comes by every place once, none after its neighbour.
  const scattered = places.map((i) => ((i * 1_001) % PLACES) * (LARGE_BYTES / PLACES));
  return [
    ['GET 1 MiB, few', { paths: hot, once: false }],
    ['GET 1 MiB, many', { paths: cold, once: false }],
    ['Range 64 KiB, one chunk', inLarge(places.slice(0, 4).map((i) => i * KIB64))],
    ['Range 64 KiB, in order', inLarge(places.map((i) => i * KIB64))],
    ['Range 64 KiB, scattered', inLarge(scattered)],
  ];
}

export interface Gateway {
  readonly child: ChildProcess;
  readonly url: string;
}

export async function startGateway(home: string, flags: readonly string[]): Promise<Gateway> {
  const extra = (process.env.HOLDFAST_BENCH_NODE_FLAGS ?? '').split(' ').filter((flag) => flag !== '');
  const serving = ['--bind', '127.0.0.1:0', '--json', '--access-log', 'off'];
  const args = [COMMAND, 'gateway', '--home', home, '--config', CONFIG, ...serving, ...flags];
  const child = spawn(process.execPath, [...extra, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout!, 'data', { signal: AbortSignal.timeout(START_MS) })) as [Buffer];
  const { listening } = JSON.parse(String(line)) as { listening: { url: string }[] };
  return { child, url: listening[0]!.url };
}

async function measured(
  dir: string,
  { child, url }: Gateway,
  job: Job,
): Promise<WrkResult & Pick<GatewayFigure, 'cpuMs' | 'rssMib'>> {
  const before = await cpuMs(child.pid!);
  const result = await wrk(dir, { method: 'GET', headers: {}, url, seconds: SECONDS, ...job }, CONNECTIONS);
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '');
  const rssMib = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  const spent = (await cpuMs(child.pid!)) - before;
  return { ...result, cpuMs: spent / Math.max(1, result.requests), rssMib };
}

/** Processor time of a process, all threads; 0 where the system does not tell. */
async function cpuMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 10;
}

function middle(figures: readonly GatewayFigure[]): GatewayFigure {
  const of = (get: (figure: GatewayFigure) => number): number => median(figures.map(get));
  return {
    ...figures[0]!,
    requests: of(({ requests }) => requests),
    perSecond: of(({ perSecond }) => perSecond),
    p50: of(({ p50 }) => p50),
    p95: of(({ p95 }) => p95),
    p99: of(({ p99 }) => p99),
    max: of(({ max }) => max),
    cpuMs: of((figure) => figure.cpuMs),
    rssMib: of(({ rssMib }) => rssMib),
    refused: Math.max(...figures.map(({ refused }) => refused)),
    failed: Math.max(...figures.map(({ failed }) => failed)),
  };
}

export function renderGateway(figures: readonly GatewayFigure[]): string {
  const rows = figures.map((figure) => [
    `${figure.operation}; kept: ${figure.cache}`,
    figure.perSecond.toFixed(0),
    ...[figure.p50, figure.p95, figure.p99].map((ms) => ms.toFixed(1)),
    figure.cpuMs.toFixed(2),
    figure.rssMib.toFixed(0),
    String(figure.refused + figure.failed),
  ]);
  const head = ['', 'requests/s', 'p50 ms', 'p95', 'p99', 'CPU ms each', 'RSS MiB', 'errors'];
  return `holdfast gateway over nine folders, wrk with ${CONNECTIONS} connections\n${columns([head, ...rows])}`;
}
