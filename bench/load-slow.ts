import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Area } from './area.ts';
import { makeRoot, writeBlobs } from './load-blobs.ts';
import { type Client, createClient, percentile, sleep } from './load-client.ts';
import { nodePath, startHoldfast } from './load-servers.ts';
import { columns, MIB } from './numbers.ts';
import { installed } from './processes.ts';

const ATTACKERS = 1_000;
const GOOD_CLIENTS = 16;
/** Each good client waits that long between two requests. */
const PAUSE_MS = 20;
const MEASURE_MS = 5_000;
/** The attackers have come after four seconds. */
const RAMP_MS = 5_000;

/** What 1,000 connections that are slow on purpose do to clients that are not. Milliseconds. */
export interface SlowFigure {
  readonly attack: string;
  /** Connections to the server while it was measured. */
  readonly connections: number;
  readonly idle: Good;
  readonly attacked: Good;
}

interface Good {
  readonly requests: number;
  readonly errors: number;
  readonly p50: number;
  readonly p99: number;
}

interface Attack {
  readonly name: string;
  /** Of slowhttptest. */
  args(url: string): readonly string[];
}

/** @param takesBodies path to post to; @param large path of something that takes long to read, so many MiB of it. */
export const attacks = (takesBodies: string, large: string, mib: number): readonly Attack[] => [
  { name: 'slow headers', args: (url) => ['-H', '-i', '2', '-u', `${url}/`] },
  {
    name: 'slow bodies',
    args: (url) => ['-B', '-i', '2', '-s', '8192', '-t', 'POST', '-u', `${url}${takesBodies}`],
  },
  {
    name: `slow readers of ${mib} MiB`,
    args: (url) => [...'-X -w 10 -y 20 -n 2 -z 32 -k 1 -u'.split(' '), `${url}${large}`],
  },
];

export async function benchSlow(area: Area, say: (text: string) => void): Promise<SlowFigure[]> {
  if (!installed('slowhttptest')) throw new TypeError('slowhttptest is not installed');
  const root = await makeRoot(area.dir);
  const [large = ''] = await writeBlobs(root, 1, MIB);
  const small = await writeBlobs(root, 16, 64 * 1024);
  const figures: SlowFigure[] = [];
  for (const attack of attacks('/o', nodePath(large), 1)) {
    say(attack.name);
    const node = await startHoldfast(root);
    try {
      figures.push(await besideSlow(node.url, attack, small.map(nodePath)));
    } finally {
      await node.stop('SIGKILL');
    }
  }
  return figures;
}

/** What good clients get of a server by themselves, and while it is attacked. */
export async function besideSlow(
  url: string,
  { name, args }: Attack,
  paths: readonly string[],
): Promise<SlowFigure> {
  const client = createClient(url, GOOD_CLIENTS);
  let attacker: ChildProcess | undefined;
  try {
    await goodClients(client, paths, 1_000);
    const idle = await goodClients(client, paths, MEASURE_MS);
    attacker = startAttack(args(url));
    await sleep(RAMP_MS);
    const connections = connectionsTo(url);
    return { attack: name, connections, idle, attacked: await goodClients(client, paths, MEASURE_MS) };
  } finally {
    attacker?.kill('SIGKILL');
    client.close();
  }
}

function startAttack(args: readonly string[]): ChildProcess {
  const flags = ['-c', String(ATTACKERS), '-r', '250', '-l', '30', '-p', '10'];
  const child = spawn('slowhttptest', [...flags, ...args], { stdio: 'ignore' });
  once(child, 'close').catch(() => {});
  return child;
}

async function goodClients(client: Client, paths: readonly string[], forMs: number): Promise<Good> {
  const times: number[] = [];
  let errors = 0;
  const end = performance.now() + forMs;
  const one = async (index: number): Promise<void> => {
    for (let i = index; performance.now() < end; i++) {
      const { status, ms } = await client.ask(paths[i % paths.length]!);
      if (status === 200) times.push(ms);
      else errors++;
      await sleep(PAUSE_MS);
    }
  };
  await Promise.all(Array.from({ length: GOOD_CLIENTS }, (_, i) => one(i)));
  return { requests: times.length, errors, p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
}

/** Established connections to the server's port, its own side; NaN where the system does not tell. */
function connectionsTo(url: string): number {
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, '0');
  try {
    const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n');
    return lines.filter((line) => new RegExp(`^ *\\d+: [0-9A-F]+:${port} [0-9A-F:]+ 01 `).test(line)).length;
  } catch {
    return Number.NaN;
  }
}

/** @param server of whom to speak. */
export function renderSlow(figures: readonly SlowFigure[], server: string): string {
  const ms = (value: number): string => value.toFixed(1);
  const rows = figures.map(({ attack, connections, idle, attacked }) => [
    attack,
    String(connections),
    ...[idle.p50, idle.p99, attacked.p50, attacked.p99].map(ms),
    `${(attacked.p99 / idle.p99).toFixed(2)}x`,
    `${attacked.errors} of ${attacked.requests + attacked.errors}`,
  ]);
  const head = ['', 'connections', 'idle p50 ms', 'p99', 'attacked p50', 'p99', 'p99 of idle', 'errors'];
  return `${server}, ${ATTACKERS} slow connections (slowhttptest) beside ${GOOD_CLIENTS} clients that get 64 KiB\n${columns([head, ...rows])}`;
}
