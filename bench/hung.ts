import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Area } from './area.ts';
import { type BenchVault, createVault, freshFolder, removeFolder } from './holdfast.ts';
import type { HungJob, HungReport } from './hung-client.ts';
import { type LoadServer, startCommand, startHoldfast, stopChild } from './load-servers.ts';
import { columns, MIB } from './numbers.ts';
import { measure } from './processes.ts';

const NODES = 9;
const HUNG = [0, 1, 2] as const;
/** Which of the nine are stopped. */
const VICTIMS = [2, 5];
const OBJECT_BYTES = MIB;
/** Short packs make several segments, and so manifest nodes below the root. */
const SECTIONS =
  '[packs]\ntarget_bytes = "128 KiB"\n[chunks]\nmode = "adaptive"\ndefault_bytes = "256 KiB"\n';
const OBJECTS = 8;
/** Operations after the first, in one process. */
const LATER = 25;
/** … where one goes through all objects. */
const LATER_WHOLE = 8;
const CLIENT = fileURLToPath(new URL('./hung-client.js', import.meta.url));

const OPERATIONS = ['put', 'get', 'stat', 'rm', 'verify', 'recover', 'gateway read'] as const;
type OperationName = (typeof OPERATIONS)[number];

export interface HungFigure {
  readonly operation: OperationName;
  readonly hung: number;
  /** The first operation of a fresh process that knows nothing of the providers. */
  readonly first: Percentiles;
  /** Those after it. */
  readonly later: Percentiles;
  /** From the end of the last operation to the end of the process. */
  readonly linger: Percentiles;
  readonly remarks: readonly string[];
}

interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

interface Run {
  readonly ms: readonly number[];
  readonly lingerMs: number;
  readonly remarks: readonly string[];
}

/**
 * Nine storage nodes, a process each, of which none, one or two are stopped as `kill -STOP` does: they take connections
 * and never answer. Every fresh process starts from the same home, so that nothing was learnt.
 */
export async function benchHung(
  area: Area,
  runs: number,
  say: (text: string) => void,
): Promise<HungFigure[]> {
  const dir = await freshFolder(area.dir, 'hung');
  const nodes: LoadServer[] = [];
  const figures: HungFigure[] = [];
  try {
    for (let i = 1; i <= NODES; i++) {
      nodes.push(await startHoldfast(join(dir, `n${i}`), ['--init', '--max-body', String(64 * MIB)]));
    }
    const vault = await createVault(dir, { providers: nodes.map(({ url }) => url), sections: SECTIONS });
    const world = new World(dir, vault, 4 * runs);
    await world.fill();
    for (const hung of HUNG) {
      const stopped = VICTIMS.slice(0, hung).map((i) => nodes[i]!.pid);
      for (const pid of stopped) process.kill(pid, 'SIGSTOP');
      try {
        for (const operation of OPERATIONS) {
          figures.push(await world.measure(operation, hung));
          say(`${operation}, ${hung} hung: first ${whole(figures.at(-1)!.first.p99)} ms`);
        }
      } finally {
        for (const pid of stopped) process.kill(pid, 'SIGCONT');
      }
    }
  } finally {
    for (const node of nodes) await node.stop();
    await removeFolder(dir);
  }
  return figures;
}

class World {
  readonly #dir: string;
  readonly #vault: BenchVault;
  /** Fresh processes for each figure. */
  readonly #fresh: number;
  #homes = 0;

  constructor(dir: string, vault: BenchVault, fresh: number) {
    this.#dir = dir;
    this.#vault = vault;
    this.#fresh = fresh;
  }

  /** What is read, and what is removed, each once. */
  async fill(): Promise<void> {
    const removed = HUNG.flatMap((hung) =>
      Array.from({ length: this.#fresh + LATER + 1 }, (_, i) => `rm ${hung} ${i}`),
    );
    const kept = Array.from({ length: OBJECTS }, (_, i) => `kept ${i}`);
    await this.#client({ what: 'put', home: this.#vault.home, names: [...kept, ...removed] });
  }

  async measure(operation: OperationName, hung: number): Promise<HungFigure> {
    const run = (from: number, count: number): Promise<Run> =>
      operation === 'gateway read' ? this.#gateway(from, count) : this.#operate(operation, hung, from, count);
    const fresh: Run[] = [];
    for (let i = 0; i < this.#fresh; i++) fresh.push(await run(i, 1));
    const later = operation === 'recover' ? LATER_WHOLE : LATER;
    const long = await run(this.#fresh, later + 1);
    return {
      operation,
      hung,
      first: percentiles([...fresh, long].map(({ ms }) => ms[0]!)),
      later: percentiles(long.ms.slice(1)),
      linger: percentiles([...fresh, long].map(({ lingerMs }) => lingerMs)),
      remarks: [...new Set([...fresh, long].flatMap(({ remarks }) => remarks))],
    };
  }

  async #operate(what: HungJob['what'], hung: number, from: number, count: number): Promise<Run> {
    const home = await this.#freshHome(what === 'recover');
    const prefix = { put: `new ${hung}`, rm: `rm ${hung}` }[what as string];
    const names = Array.from({ length: count }, (_, i) =>
      prefix === undefined ? `kept ${(from + i) % OBJECTS}` : `${prefix} ${from + i}`,
    );
    const run = await this.#client({ what, home, names });
    await removeFolder(home);
    return run;
  }

  /** A home of which nothing is known to any process. @param bare with nothing but the key. */
  async #freshHome(bare: boolean): Promise<string> {
    const home = join(this.#dir, `home-${++this.#homes}`);
    await mkdir(home);
    const from = bare ? join(this.#vault.home, 'vault.key') : this.#vault.home;
    await cp(from, bare ? join(home, 'vault.key') : home, { recursive: true });
    return home;
  }

  async #client(job: Omit<HungJob, 'config' | 'bytes'>): Promise<Run> {
    const config = join(this.#dir, 'storage.toml');
    const whole: HungJob = { ...job, config, bytes: OBJECT_BYTES };
    const { stdout } = await measure(process.execPath, [CLIENT, JSON.stringify(whole)]);
    const ended = Date.now();
    const { ms, lastMs, remarks } = JSON.parse(stdout) as HungReport;
    return { ms, lingerMs: ended - lastMs, remarks };
  }

  async #gateway(from: number, count: number): Promise<Run> {
    const home = await this.#freshHome(false);
    const config = join(this.#dir, 'storage.toml');
    const { child, url } = await startCommand(['gateway', '--home', home, '--config', config]);
    const ms: number[] = [];
    for (let i = 0; i < count; i++) {
      const started = performance.now();
      const answer = await fetch(`${url}/n/kept%20${(from + i) % OBJECTS}`);
      const { byteLength } = await answer.arrayBuffer();
      if (byteLength !== OBJECT_BYTES) throw new Error(`the gateway answered ${answer.status}`);
      ms.push(performance.now() - started);
    }
    const stopped = performance.now();
    await stopChild(child);
    await removeFolder(home);
    return { ms, lingerMs: performance.now() - stopped, remarks: [] };
  }
}

function percentiles(values: readonly number[]): Percentiles {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1]!;
  return { p50: at(0.5), p99: at(0.99) };
}

const whole = (ms: number): string => ms.toFixed(0);

export function renderHung(figures: readonly HungFigure[]): string {
  const head = [
    'ms, nine nodes on loopback',
    'hung',
    'first p50',
    'p99',
    'later p50',
    'p99',
    'linger p50',
    'p99',
    'goal p99',
    '',
  ];
  const rows = OPERATIONS.flatMap((operation) => {
    const its = figures.filter((figure) => figure.operation === operation);
    const healthy = its.find(({ hung }) => hung === 0)!;
    return its.map(({ hung, first, later, linger, remarks }) => [
      operation,
      String(hung),
      ...[first, later, linger].flatMap(({ p50, p99 }) => [whole(p50), whole(p99)]),
      `${whole(2 * healthy.first.p99 + 1000)}, ${whole(2 * healthy.later.p99 + 1000)}`,
      remarks.join('; '),
    ]);
  });
  return columns([head, ...rows]);
}
