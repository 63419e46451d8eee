import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Area } from './area.ts';
import { makeRoot, writeBlobs } from './load-blobs.ts';
import { type Client, createClient, percentile, sleep } from './load-client.ts';
import { type LoadServer, startHoldfast } from './load-servers.ts';
import { columns, MIB } from './numbers.ts';
import { installed } from './processes.ts';

export const ATTACKERS = 1_000;
export const GOOD_CLIENTS = 16;
/** Each good client waits that long between two requests. */
const PAUSE_MS = 20;
export const MEASURE_MS = 5_000;
/** The attackers have come after four seconds. */
export const RAMP_MS = 5_000;

/** What 1,000 connections that are slow on purpose do to clients that are not. Milliseconds. */
export interface SlowFigure {
  readonly attack: string;
  /** Connections to the node while it was measured. */
  readonly connections: number;
  readonly idle: Good;
  readonly attacked: Good;
}

export interface Good {
  readonly requests: number;
  readonly errors: number;
  readonly p50: number;
  readonly p99: number;
}

export async function benchSlow(area: Area, say: (text: string) => void): Promise<SlowFigure[]> {
  if (!installed('slowhttptest')) throw new TypeError('slowhttptest is not installed');
  const root = await makeRoot(area.dir);
  const [large = ''] = await writeBlobs(root, 1, MIB);
  const small = await writeBlobs(root, 16, 64 * 1024);
  const figures: SlowFigure[] = [];
  const attacks: [string, (node: LoadServer) => string[]][] = [
    ['slow headers', (node) => ['-H', '-i', '2', '-u', `${node.url}/`]],
    ['slow bodies', (node) => ['-B', '-i', '2', '-s', '8192', '-t', 'POST', '-u', `${node.url}/o`]],
    [
      'slow readers of 1 MiB',
      (node) => [...'-X -w 10 -y 20 -n 2 -z 32 -k 1 -u'.split(' '), node.url + node.pathOf(large)],
    ],
  ];
  for (const [attack, argsFor] of attacks) {
    say(attack);
    const node = await startHoldfast(root);
    const client = createClient(node.url, GOOD_CLIENTS);
    let attacker: ChildProcess | undefined;
    try {
      const paths = small.map(node.pathOf);
      await goodClients(client, paths, 1_000);
      const idle = await goodClients(client, paths, MEASURE_MS);
      attacker = startAttack(argsFor(node));
      await sleep(RAMP_MS);
      const connections = connectionsOf(node);
      figures.push({ attack, connections, idle, attacked: await goodClients(client, paths, MEASURE_MS) });
    } finally {
      attacker?.kill('SIGKILL');
      client.close();
      await node.stop('SIGKILL');
    }
  }
  return figures;
}

export function startAttack(args: readonly string[]): ChildProcess {
  const flags = ['-c', String(ATTACKERS), '-r', '250', '-l', '30', '-p', '10'];
  const child = spawn('slowhttptest', [...flags, ...args], { stdio: 'ignore' });
  once(child, 'close').catch(() => {});
  return child;
}

export async function goodClients(client: Client, paths: readonly string[], forMs: number): Promise<Good> {
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

/** Established connections to the node's port, its own side; NaN where the system does not tell. */
export function connectionsOf(node: Pick<LoadServer, 'url'>): number {
  const port = Number(new URL(node.url).port).toString(16).toUpperCase().padStart(4, '0');
  try {
    const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n');
    return lines.filter((line) => new RegExp(`^ *\\d+: [0-9A-F]+:${port} [0-9A-F:]+ 01 `).test(line)).length;
  } catch {
    return Number.NaN;
  }
}

export function renderSlow(figures: readonly SlowFigure[]): string {
  const ms = (value: number): string => value.toFixed(1);
  const rows = figures.map(({ attack, connections, idle, attacked }) => [
    attack,
    String(connections),
    ...[idle.p50, idle.p99, attacked.p50, attacked.p99].map(ms),
    `${(attacked.p99 / idle.p99).toFixed(2)}x`,
    `${attacked.errors} of ${attacked.requests + attacked.errors}`,
  ]);
  const head = ['', 'connections', 'idle p50 ms', 'p99', 'attacked p50', 'p99', 'p99 of idle', 'errors'];
  return `${ATTACKERS} slow connections (slowhttptest) beside ${GOOD_CLIENTS} clients that get 64 KiB\n${columns([head, ...rows])}`;
}
