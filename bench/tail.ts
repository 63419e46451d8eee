import { DEFAULT_CATALOG_POLICY } from '../src/catalog/catalog.ts';
import { createPunctuality, directoryOf } from '../src/catalog/directory.ts';
import { openNodeCatalog } from '../src/catalog/node-catalog.ts';
import { createLinearCode } from '../src/coding/erasure/code.ts';
import { DEFAULT_LRC } from '../src/coding/erasure/params.ts';
import { secondBlake3, selectBlake3 } from '../src/core/b3/select.ts';
import { systemClock as clock, systemClock } from '../src/core/clock.ts';
import { createHedge } from '../src/core/hedge.ts';
import { secureRandom as random } from '../src/core/random.ts';
import { NODE_READS } from '../src/core/straggler-policies.ts';
import { createMemoryEngine } from '../src/engine/index.ts';
import { deriveSubkeys, vaultKeysOf } from '../src/keys/derivation.ts';
import { createArena } from '../src/pipeline/arena.ts';
import type { VaultContext } from '../src/pipeline/context.ts';
import { createInlineStage } from '../src/pipeline/cpu/inline.ts';
import { getObject } from '../src/pipeline/get/get.ts';
import { putObject } from '../src/pipeline/put/put.ts';
import { DEFAULT_LADDER } from '../src/profiles/ladder.ts';
import type { BlobAdapter } from '../src/providers/adapter.ts';
import { withLayers } from '../src/providers/layers/with-layers.ts';
import { createMemoryAdapter } from '../src/providers/memory/driver.ts';
import type { Provider } from '../src/providers/provider.ts';
import { recordedRelocations } from '../src/records/relocations.ts';
import { silentMetrics } from '../src/telemetry/index.ts';
import { createRetention } from '../src/upkeep/retention.ts';
import { columns, MIB } from './numbers.ts';

const PROVIDERS = 9;
const OBJECT_BYTES = MIB;
/** A healthy link: this long for a request, and this fast. */
const LATENCY_MS = 20;
const BYTES_PER_SECOND = 16 * MIB;
const STALLED = 2;
const SLOW = 5;
const ACCELERATION = { native: true, wasm: true } as const;

/** A link that carries probes and nothing else. */
const PROBES_ONLY = 'probes only';
/** How many times slower than a healthy link; Infinity never answers; undefined is not there at all. */
type Speed = number | typeof PROBES_ONLY | undefined;
type Speeds = readonly Speed[];

const speeds = (stalled: Speed, slow: Speed): Speeds =>
  Array.from({ length: PROVIDERS }, (_, i) => (i === STALLED ? stalled : i === SLOW ? slow : 1));

export interface TailFigure {
  readonly name: string;
  readonly put: Percentiles;
  readonly get: Percentiles;
}

interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Two bad providers of nine: what 99 of 100 operations take, beside all healthy, and beside racing nobody. */
export async function benchTail(operations: number, say: (text: string) => void): Promise<TailFigure[]> {
  const runs: [string, Speeds, boolean][] = [
    ['all nine healthy', speeds(1, 1), true],
    ['one stalls, one at 1 %', speeds(Number.POSITIVE_INFINITY, 100), true],
    ['one answers probes only, one at 1 %', speeds(PROBES_ONLY, 100), true],
    ['the two not there at all', speeds(undefined, undefined), true],
    ['one at 1 %, nobody is raced', speeds(1, 100), false],
  ];
  const figures: TailFigure[] = [];
  for (const [name, links, racing] of runs) {
    say(name);
    figures.push({
      name,
      ...(await measureTail(links, racing, racing ? operations : Math.min(operations, 10))),
    });
  }
  return figures;
}

/** Bad from the first operation on: nothing has been learnt yet. Gets read what was put while all was well. */
async function measureTail(links: Speeds, racing: boolean, operations: number) {
  const state: { now: Speeds } = {
    now: speeds(1, 1).map((speed, i) => (links[i] === undefined ? undefined : speed)),
  };
  const { context, close } = await openContext(state, racing);
  const bytes = random(OBJECT_BYTES);
  const before = Math.min(20, operations);
  for (let i = 0; i < before; i++) await putObject(context, bytes, { name: `before ${i}` });
  state.now = links;
  const gets: number[] = [];
  const puts: number[] = [];
  for (let i = 0; i < operations; i++) {
    puts.push(await timed(() => putObject(context, bytes, { name: `${i}` })));
    gets.push(await timed(async () => drain(await getObject(context, `before ${i % before}`))));
  }
  await close();
  return { put: percentiles(puts), get: percentiles(gets) };
}

async function openContext(state: { now: Speeds }, racing: boolean) {
  const blake3 = await selectBlake3(ACCELERATION);
  const deps = { clock, random, blake3 };
  const providers = state.now.flatMap((speed, i): Provider[] => {
    if (speed === undefined) return [];
    const id = `p${i + 1}`;
    const adapter = linked(createMemoryAdapter({ id, ...deps }), () => state.now[i]!);
    const layered = withLayers(adapter, { ...deps, onAttempt() {}, log() {}, maxConcurrency: 16 });
    return [
      {
        id,
        adapter: layered,
        domain: { provider: id, account: id, region: 'bench' },
        price: 1,
        maxConcurrency: 16,
      },
    ];
  });
  const engine = createMemoryEngine();
  const catalog = await openNodeCatalog({
    providers,
    engine,
    clock,
    ladder: DEFAULT_LADDER,
    policy: DEFAULT_CATALOG_POLICY,
    settlement: { balanceSplit: async () => ({ configured: undefined, earned: 0 }) },
  });
  await catalog.probeAll();
  const directory = directoryOf(catalog, systemClock, createPunctuality(systemClock));
  const arena = createArena(64 * MIB);
  const patient = { ...directory, p95Ms: () => Number.POSITIVE_INFINITY, report() {} };
  const base: Omit<VaultContext, 'retention' | 'places' | 'isOver' | 'isGone'> = {
    ...deps,
    nodeReads: createHedge(systemClock, NODE_READS),
    secondBlake3: () => secondBlake3(blake3, ACCELERATION),
    keys: vaultKeysOf(deriveSubkeys(random(32))),
    owner: async () => 'bench',
    engine,
    relocations: { ...recordedRelocations(engine, systemClock), told: async () => [] },
    directory: racing ? directory : patient,
    arena,
    cpu: createInlineStage(arena.memory, ACCELERATION, systemClock),
    metrics: silentMetrics.pipeline,
    policy: {
      code: createLinearCode(DEFAULT_LRC),
      fitsCode: false,
      replicaBelowBytes: 4096,
      compression: 'none',
      compressionLevel: 1,
      packTargetBytes: 8 * MIB,
      minTolerates: 1,
      failureDomain: 'provider',
      maxInflight: 64,
      stallMs: 15_000,
      hedgeAfterMs: 30,
      verifyWrites: 'sample',
    },
  };
  const context: VaultContext = {
    ...base,
    retention: createRetention(base, 0),
    places: { enter: async () => {} },
    isOver: async () => false,
    isGone: async () => false,
  };
  const close = async (): Promise<void> => {
    await Promise.all(providers.map(({ adapter }) => adapter.close()));
  };
  return { context, close };
}

/** The adapter at the end of a link so many times slower than a healthy one. */
function linked(adapter: BlobAdapter, slowness: () => NonNullable<Speed>): BlobAdapter {
  const travel = async (bytes: number, signal: AbortSignal | undefined): Promise<void> => {
    const times = slowness();
    if (times === Number.POSITIVE_INFINITY || times === PROBES_ONLY) return hang(signal);
    await clock.sleep(LATENCY_MS + (1000 * bytes * times) / BYTES_PER_SECOND, signal);
  };
  const length = (parts: readonly Uint8Array[]): number => parts.reduce((sum, part) => sum + part.length, 0);
  return {
    ...adapter,
    async probe(options) {
      if (slowness() !== PROBES_ONLY) await travel(0, options?.signal);
      return adapter.probe(options);
    },
    async store(address, parts, options) {
      await travel(length(parts), options?.signal);
      return adapter.store(address, parts, options);
    },
    async fetchRange(address, offset, into, options) {
      await travel(length(into), options?.signal);
      return adapter.fetchRange(address, offset, into, options);
    },
    async fetch(address, options) {
      const bytes = await adapter.fetch(address, options);
      await travel(bytes.length, options?.signal);
      return bytes;
    },
    async writeSlot(name, bytes, expected, options) {
      await travel(bytes.length, options?.signal);
      return adapter.writeSlot(name, bytes, expected, options);
    },
    async delete(address, options) {
      await travel(0, options?.signal);
      return adapter.delete(address, options);
    },
  };
}

const hang = (signal: AbortSignal | undefined): Promise<never> =>
  new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

async function drain(pieces: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of pieces);
}

function percentiles(times: readonly number[]): Percentiles {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1]!;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

export function renderTail(figures: readonly TailFigure[]): string {
  const healthy = figures[0]!;
  const ms = (value: number): string => value.toFixed(0);
  const times = (value: number, base: number): string => `${(value / base).toFixed(2)}x`;
  const rows = figures.map(({ name, put, get }) => [
    name,
    ...[[put, healthy.put] as const, [get, healthy.get] as const].flatMap(([own, base]) => [
      ms(own.p50),
      ms(own.p99),
      times(own.p99, base.p99),
      ms(own.max),
    ]),
  ]);
  return columns([
    ['ms of 1 MiB at nine providers', 'put p50', 'p99', '', 'max', 'get p50', 'p99', '', 'max'],
    ...rows,
  ]);
}
