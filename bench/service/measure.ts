import { writeBlobs } from '../load-blobs.ts';
import { percentile } from '../load-client.ts';
import { nodePath } from '../load-servers.ts';
import { median } from '../numbers.ts';
import { PHASES, type Phase, type PhaseName, preparePhases } from './phases.ts';
import { type Served, startServers } from './servers.ts';
import { countTrips, TRIP_BLOBS } from './trips.ts';
import { type Asked, Wire } from './wire.ts';

/** Rounds that are not counted. */
const WARM_ROUNDS = 3;

/** What is compared, always as "times the reference, and more is worse". */
export const KINDS = ['cpu', 'p95', 'start', 'time'] as const;
export type Kind = (typeof KINDS)[number];

/** Of one server in one slice of time. */
interface Slice {
  readonly requests: number;
  readonly seconds: number;
  /** Processor microseconds of a request. */
  readonly cpu: number;
  /** Milliseconds to the whole answer, and to its first byte. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly start: number;
  /** Milliseconds of the machine's time for each request that was answered: the inverse of the throughput. */
  readonly time: number;
  /** 5xx but for those that were shed, answers that never came; 429 and 503. */
  readonly errors: number;
  readonly shed: number;
}

export interface Pair {
  readonly subject: Slice;
  readonly reference: Slice;
}

export interface Measured {
  readonly phases: Readonly<Partial<Record<PhaseName, readonly Pair[]>>>;
  /** The most memory of each, in bytes: of the node and the reference, once long bodies went through. */
  readonly memory: { readonly node: number; readonly gateway: number; readonly reference: number };
  /** Round trips of reads over a long way; see `countTrips`. */
  readonly trips?: number | undefined;
}

export interface MeasureOptions {
  /** `dist/cli/main.js` of what is measured. */
  readonly program: string;
  readonly dir: string;
  readonly rounds: number;
  readonly sliceMs: number;
  readonly only?: readonly PhaseName[] | undefined;
  say(text: string): void;
}

/**
 * Slices of the node or the gateway and of the reference in turn, so that whatever else the machine does hits both; which is
 * first changes from round to round. The same requests go to both, or the nearest to them.
 */
export async function measureService(options: MeasureOptions): Promise<Measured> {
  const { dir, program, rounds, sliceMs, only = PHASES, say } = options;
  const servers = await startServers(dir, program);
  try {
    const phases = (await preparePhases(servers)).filter(({ name }) => only.includes(name));
    const pairs: Partial<Record<PhaseName, Pair[]>> = {};
    const { node, gateway, reference } = servers;
    const used = () => ({ node: node.memoryBytes(), reference: reference.memoryBytes() });
    let withLong = used();
    for (const phase of phases) {
      say(phase.name);
      pairs[phase.name] = await pairsOf(phase, reference, rounds, sliceMs);
      if (phase.name === 'long') withLong = used();
    }
    const memory = { ...withLong, gateway: gateway.memoryBytes() };
    if (!only.includes('far')) return { phases: pairs, memory };
    say('far');
    const blobs = await writeBlobs(servers.root, TRIP_BLOBS, 32 * 1024);
    const trips = await countTrips(servers.far.port, servers.way, blobs.map(nodePath));
    return { phases: pairs, memory, trips };
  } finally {
    await servers.close();
  }
}

async function pairsOf(phase: Phase, plain: Served, rounds: number, sliceMs: number): Promise<Pair[]> {
  const wiresTo = ({ port }: Served): Wire[] =>
    Array.from({ length: phase.connections }, () => new Wire(port));
  const [own, others] = [wiresTo(phase.subject), wiresTo(plain)];
  const pairs: Pair[] = [];
  for (let round = -WARM_ROUNDS; round < rounds; round++) {
    const at = (WARM_ROUNDS + round) * 10_000;
    const ofNode = () => slice(phase.subject, own, (i) => phase.ask(i, false), at, sliceMs);
    const ofPlain = () => slice(plain, others, (i) => phase.ask(i, true), at, sliceMs);
    const first = round % 2 === 0 ? await ofNode() : undefined;
    const reference = await ofPlain();
    const subject = first ?? (await ofNode());
    if (round >= 0) pairs.push({ subject, reference });
  }
  for (const wire of [...own, ...others]) wire.close();
  return pairs;
}

async function slice(
  server: Served,
  wires: readonly Wire[],
  ask: (i: number) => Asked,
  from: number,
  ms: number,
): Promise<Slice> {
  const times: number[] = [];
  const starts: number[] = [];
  let [next, errors, shed] = [from, 0, 0];
  const before = server.cpuNanos();
  const began = performance.now();
  const run = async (wire: Wire): Promise<void> => {
    while (performance.now() - began < ms) {
      const answer = await wire.ask(ask(next++));
      if (answer.status === 429 || answer.status === 503) shed++;
      else if (answer.status < 200 || answer.status > 399) errors++;
      times.push(answer.ms);
      starts.push(answer.startMs);
    }
  };
  await Promise.all(wires.map(run));
  const elapsed = performance.now() - began;
  const cpu = (server.cpuNanos() - before) / 1000 / times.length;
  await server.tidy();
  return {
    ...{ requests: times.length, seconds: elapsed / 1000, cpu, errors, shed },
    p50: percentile(times, 0.5),
    p95: percentile(times, 0.95),
    p99: percentile(times, 0.99),
    start: percentile(starts, 0.95),
    time: elapsed / times.length,
  };
}

/** How a figure stands to the reference's, and how sure that is. */
export interface Ratio {
  readonly value: number;
  /** What it may be off by, as a share of it. */
  readonly noise: number;
}

/** The median of the ratios within each round: what else the machine does hits both alike, but for few rounds. */
export function ratioOf(pairs: readonly Pair[], kind: Kind): Ratio {
  const ratios = pairs.map(({ subject, reference }) => subject[kind] / reference[kind]);
  const middle = median(ratios);
  const spread = median(ratios.map((ratio) => Math.abs(ratio - middle)));
  // The standard error of a median, by the median deviation.
  const noise = (1.858 * spread) / Math.sqrt(pairs.length) / middle;
  return { value: middle, noise };
}
