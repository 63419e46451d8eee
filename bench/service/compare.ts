import { columns, MIB, median } from '../numbers.ts';
import { KINDS, type Kind, type Measured, type Pair, type Ratio, ratioOf } from './measure.ts';
import { PHASES, type PhaseName } from './phases.ts';

/** What is let pass beyond the noise. */
const TOLERANCE: Readonly<Record<Figure['kind'], number>> = {
  ...{ cpu: 0.15, memory: 0.15 },
  ...{ p95: 0.1, start: 0.1, time: 0.1, trips: 0.1 },
};
/** Shares of the requests. */
const MOST_ERRORS = 0.001;
const MOST_SHED = 0.01;
/** A run of noise must not let everything pass. */
const MOST_NOISE = 1.5;
/** The latency of a single long answer, and the first byte of a short one, say what others say. */
const LEFT_OUT: readonly string[] = [
  'hot start',
  'first start',
  'puts start',
  'objects start',
  'decoded start',
  'long p95',
];

const GATEWAYS: readonly PhaseName[] = ['objects', 'decoded'];

export interface Baseline {
  /** By phase and kind, as "hot cpu". */
  readonly ratios: Readonly<Record<string, Ratio>>;
}

export interface Finding {
  readonly phase: PhaseName;
  readonly kind: Figure['kind'] | 'errors' | 'shed';
  readonly text: string;
}

interface Figure extends Ratio {
  readonly phase: PhaseName;
  readonly kind: Kind | 'memory' | 'trips';
}

function figuresOf({ phases, memory, trips }: Measured): Figure[] {
  const figures: Figure[] = [];
  for (const phase of PHASES) {
    const pairs = phases[phase];
    if (pairs === undefined) continue;
    for (const kind of KINDS)
      if (!LEFT_OUT.includes(`${phase} ${kind}`)) figures.push({ phase, kind, ...ratioOf(pairs, kind) });
  }
  // Long bodies are what memory is needed for.
  const { node, gateway, reference } = memory;
  if (phases.long !== undefined)
    figures.push({ phase: 'long', kind: 'memory', value: node / reference, noise: 0 });
  if (phases.long !== undefined && phases.decoded !== undefined)
    figures.push({ phase: 'decoded', kind: 'memory', value: gateway / reference, noise: 0 });
  if (trips !== undefined) figures.push({ phase: 'far', kind: 'trips', value: trips, noise: 0 });
  return figures;
}

/** The medians of several runs, and how far the runs are apart. */
export function baselineOf(runs: readonly Measured[]): Baseline {
  const all = runs.map(figuresOf);
  const ratios: Record<string, Ratio> = {};
  for (const { phase, kind } of all[0]!) {
    const own = all.map((figures) => figures.find((one) => one.phase === phase && one.kind === kind)!.value);
    const middle = median(own);
    const noise = Math.max(...own.map((value) => Math.abs(value / middle - 1)));
    ratios[`${phase} ${kind}`] = { value: rounded(middle), noise: rounded(noise) };
  }
  return { ratios };
}

const rounded = (value: number): number => Number(value.toFixed(3));

/** Every figure beside the baseline's, and those that are worse than may be. */
export function compare(
  measured: Measured,
  baseline: Baseline,
): { readonly table: string; readonly worse: readonly Finding[] } {
  const worse: Finding[] = [];
  const rows: string[][] = [];
  for (const { phase, kind, value, noise: here } of figuresOf(measured)) {
    const before = baseline.ratios[`${phase} ${kind}`];
    if (before === undefined) continue;
    const change = value / before.value - 1;
    const noise = Math.min(MOST_NOISE, Math.hypot(here, before.noise));
    const limit = TOLERANCE[kind] + noise;
    rows.push([
      `${phase} ${kind}`,
      value.toFixed(2),
      before.value.toFixed(2),
      percent(change),
      percent(limit),
    ]);
    if (change <= limit) continue;
    const text = `${phase}, ${kind}: ${value.toFixed(2)} times the plain server, the baseline is ${before.value.toFixed(2)}: ${percent(change)}, of which ${percent(limit)} is let pass`;
    worse.push({ phase, kind, text });
  }
  for (const phase of PHASES) worse.push(...failuresIn(phase, measured.phases[phase] ?? []));
  const head = ['times the plain server', 'now', 'baseline', '', 'let pass'];
  return { table: `${columns([head, ...rows])}\n\n${absolute(measured)}`, worse };
}

function failuresIn(phase: PhaseName, pairs: readonly Pair[]): Finding[] {
  const sum = (of: (pair: Pair) => number): number => pairs.reduce((all, pair) => all + of(pair), 0);
  const requests = sum(({ subject }) => subject.requests);
  const findings: Finding[] = [];
  for (const [kind, most] of [
    ['errors', MOST_ERRORS],
    ['shed', MOST_SHED],
  ] as const) {
    const share = sum(({ subject }) => subject[kind]) / Math.max(1, requests);
    const text = `${phase}: ${(100 * share).toFixed(2)} % of ${requests} requests: ${kind}`;
    if (share > most) findings.push({ phase, kind, text });
  }
  return findings;
}

/** Medians of the slices, for people. */
function absolute({ phases, memory }: Measured): string {
  const rows: string[][] = [];
  for (const phase of PHASES) {
    for (const who of ['subject', 'reference'] as const) {
      const slices = phases[phase]?.map((pair) => pair[who]);
      if (slices === undefined) continue;
      const of = (kind: 'p50' | 'p95' | 'p99' | 'start' | 'cpu' | 'time'): number =>
        median(slices.map((slice) => slice[kind]));
      const total = (kind: 'errors' | 'shed'): string =>
        String(slices.reduce((sum, one) => sum + one[kind], 0));
      rows.push([
        `${phase}, ${who === 'reference' ? 'plain' : GATEWAYS.includes(phase) ? 'gateway' : 'node'}`,
        (1000 / of('time')).toFixed(0),
        ...(['p50', 'p95', 'p99', 'start'] as const).map((kind) => of(kind).toFixed(1)),
        of('cpu').toFixed(0),
        total('errors'),
        total('shed'),
      ]);
    }
  }
  const head = ['', 'requests/s', 'p50 ms', 'p95', 'p99', 'start p95', 'CPU µs', '5xx', '429/503'];
  const mib = (bytes: number): string => `${(bytes / MIB).toFixed(0)} MiB`;
  const used = `memory at the most: node ${mib(memory.node)}, gateway ${mib(memory.gateway)}, plain ${mib(memory.reference)}`;
  return `${columns([head, ...rows])}\n${used}`;
}

const percent = (share: number): string => `${share < 0 ? '' : '+'}${(100 * share).toFixed(0)} %`;
