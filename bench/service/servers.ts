import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { constants, openSync, readSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createVault } from '../holdfast.ts';
import { makeRoot } from '../load-blobs.ts';
import { cpuNanosOf, memoryOf } from '../proc.ts';
import { type CountedWay, countedWayTo } from './trips.ts';

const REFERENCE = fileURLToPath(new URL('./reference.js', import.meta.url));
/** Little, so that what is too much shows. */
const NODE_FLAGS = ['--cache-bytes', '16777216', '--max-body', '67108864'];
const GATEWAY_FLAGS = ['--chunk-cache-bytes', '16777216', '--access-log', 'off'];
const START_MS = 30_000;

/** A server process under load. */
export interface Served {
  readonly port: number;
  cpuNanos(): number;
  /** The most it ever had. */
  memoryBytes(): number;
  /** Removes what was put there. */
  tidy(): Promise<void>;
}

/** A node, one whose backend is far away, a gateway, and what they are measured by. */
export interface Servers {
  readonly root: string;
  /** Of the vault that the gateway serves. */
  readonly home: string;
  readonly node: Served;
  readonly far: Served;
  /** The way that `far` reads over. */
  readonly way: CountedWay;
  readonly gateway: Served;
  readonly reference: Served;
  close(): Promise<void>;
}

/** @param program `dist/cli/main.js` of the Holdfast to be measured. */
export async function startServers(dir: string, program: string): Promise<Servers> {
  const root = await makeRoot(dir);
  const kept = new Set<string>();
  const log = slowLog(join(dir, 'access.fifo'));
  const own: ChildProcess[] = [];
  const started = async (args: readonly string[], stderr: number | 'ignore'): Promise<[number, number]> => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', stderr] });
    own.push(child);
    endsWithUs(child);
    return [child.pid!, portIn(await firstLine(child))];
  };
  const node = async (flags: readonly string[], log: readonly string[], stderr: number | 'ignore') =>
    started([program, 'node', '--json', '--bind', '127.0.0.1:0', ...flags, ...log, ...NODE_FLAGS], stderr);

  const config = join(dir, 'crowd.toml');
  await writeFile(config, '[node]\nmax_client_connections = 0\n\n[gateway]\nmax_client_connections = 0\n');
  const near = await node(['--root', root, '--config', config], ['--access-log', log.path], log.writer);
  const way = await countedWayTo(near[1]);
  const farConfig = await farConfigIn(dir, way);
  const far = await node(['--backend', 'far', '--config', farConfig], ['--access-log', 'off'], 'ignore');
  const { home } = await createVault(dir);
  const serving = [program, 'gateway', '--home', home, '--config', config, '--json', '--bind', '127.0.0.1:0'];
  const gateway = await started([...serving, ...GATEWAY_FLAGS], 'ignore');
  const puts = join(dir, 'reference-puts');
  await mkdir(puts);
  const bare = await started([REFERENCE, join(root, 'blobs'), puts], 'ignore');

  return {
    ...{ root, home, way },
    gateway: served(gateway, async () => {}),
    node: served(near, () => tidyRoot(root, kept)),
    far: served(far, async () => {}),
    reference: served(bare, async () => {
      for (const name of await readdir(puts)) await rm(join(puts, name));
    }),
    async close() {
      for (const child of own) child.kill('SIGKILL');
      way.close();
      log.close();
    },
  };
}

function served([pid, port]: [number, number], tidy: () => Promise<void>): Served {
  return {
    port,
    cpuNanos: () => cpuNanosOf(pid),
    memoryBytes: () => memoryOf(pid, 'VmHWM'),
    tidy,
  };
}

/** Removes blobs that were put. What was there when it was first called stays. */
async function tidyRoot(root: string, kept: Set<string>): Promise<void> {
  const first = kept.size === 0;
  for (const folder of await readdir(join(root, 'blobs'))) {
    for (const name of await readdir(join(root, 'blobs', folder))) {
      const path = join(root, 'blobs', folder, name);
      if (first) kept.add(path);
      else if (!kept.has(path)) await rm(path);
    }
  }
}

async function farConfigIn(dir: string, { port }: CountedWay): Promise<string> {
  const path = join(dir, 'far.toml');
  const provider = `id = "far"\nadapter = "http"\nurl = "http://127.0.0.1:${port}"\nmax_concurrency = 64\n`;
  await writeFile(path, `[node]\nmax_client_connections = 0\n\n[[providers]]\n${provider}`);
  return path;
}

/** A log whose reader is slow, as a disk or a collector may be: 200 KB a second. Who waits for it is slow too. */
function slowLog(path: string): { readonly path: string; readonly writer: number; close(): void } {
  spawnSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const piece = Buffer.alloc(4096);
  const timer = setInterval(() => {
    try {
      readSync(reader, piece);
    } catch {
      // Nothing is there.
    }
  }, 20);
  return { path, writer: openSync(path, constants.O_WRONLY), close: () => clearInterval(timer) };
}

/** Of a server of ours, or of the reference. */
export const portIn = (line: string): number =>
  Number(line.startsWith('{') ? new URL(JSON.parse(line).listening[0].url as string).port : line);

/** A server must not outlive what measures it, however that ends. */
export function endsWithUs(child: ChildProcess): void {
  if (children.size === 0)
    process.once('exit', () => {
      for (const one of children) one.kill('SIGKILL');
    });
  children.add(child);
}

const children = new Set<ChildProcess>();

/** @throws Error when the process ends or says nothing. */
export async function firstLine(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout! });
  const line = new Promise<string>((resolve, reject) => {
    lines.once('line', resolve);
    lines.once('close', () => reject(new Error(`${child.spawnargs.join(' ')} ended at once`)));
    setTimeout(() => reject(new Error(`${child.spawnargs.join(' ')} says nothing`)), START_MS).unref();
  });
  return line;
}
