import { entryOf } from '../src/core/maps.ts';
import type { Area } from './area.ts';
import { putRandom, startGateway } from './gateway-server.ts';
import { createVault } from './holdfast.ts';
import { type HoldfastServer, stopChild } from './load-servers.ts';
import { middleResult, type WrkJob, type WrkResult, wrk } from './load-wrk.ts';
import { columns, MIB, median } from './numbers.ts';
import { cpuSecondsOf, memoryOf } from './proc.ts';
import { installed } from './processes.ts';

const SECONDS = 2;
const CONNECTIONS = 16;
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
          entryOf(results, `${operation} ${cache}`, () => []).push(figure);
        }
      } finally {
        await stopChild(gateway.child);
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
  const small = Array.from({ length: HOT_OBJECTS + COLD_OBJECTS }, () => MIB);
  const [large, ...paths] = await putRandom(home, [LARGE_BYTES, ...small]);
  return { large: large!, hot: paths.slice(0, HOT_OBJECTS), cold: paths.slice(HOT_OBJECTS) };
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

async function measured(
  dir: string,
  { child, url }: HoldfastServer,
  job: Job,
): Promise<WrkResult & Pick<GatewayFigure, 'cpuMs' | 'rssMib'>> {
  const before = cpuSecondsOf(child.pid!);
  const result = await wrk(dir, { method: 'GET', headers: {}, url, seconds: SECONDS, ...job }, CONNECTIONS);
  const rssMib = memoryOf(child.pid!, 'VmRSS') / MIB;
  const spentMs = 1000 * (cpuSecondsOf(child.pid!) - before);
  return { ...result, cpuMs: spentMs / Math.max(1, result.requests), rssMib };
}

const middle = (figures: readonly GatewayFigure[]): GatewayFigure => ({
  ...figures[0]!,
  ...middleResult(figures),
  cpuMs: median(figures.map(({ cpuMs }) => cpuMs)),
  rssMib: median(figures.map(({ rssMib }) => rssMib)),
});

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
