import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { COMMAND, CROWD_CONFIG, nodeFlagsIn } from './holdfast.ts';
import { cpuSecondsOf } from './proc.ts';
import { installed } from './processes.ts';

const BARE = fileURLToPath(new URL('./load-bare.js', import.meta.url));
const START_MS = 20_000;

export type ServerName = 'holdfast node' | 'nginx' | 'node:http stream' | 'node:http memory';

/** A server process that serves the blobs of one provider folder, and takes puts. */
export interface LoadServer {
  readonly name: ServerName;
  readonly url: string;
  readonly pid: number;
  /** Processor time so far, of all its processes; NaN where the system does not tell. */
  cpuSeconds(): number;
  /** @param hex of an address. */
  pathOf(hex: string): string;
  putPathOf(hex: string): string;
  /** @param signal default SIGTERM, which lets requests finish */
  stop(signal?: 'SIGKILL'): Promise<void>;
}

/** Of a blob at a node. */
export const nodePath = (hex: string): string => `/o/b3:${hex}`;
const plainPath = (hex: string): string => `/${hex.slice(0, 2)}/${hex.slice(2)}`;

/** A command of ours that serves. */
export interface HoldfastServer {
  readonly child: ChildProcess;
  readonly url: string;
}

/** @throws Error when it does not start. */
export async function startCommand(args: readonly string[]): Promise<HoldfastServer> {
  const profiling = nodeFlagsIn('HOLDFAST_BENCH_NODE_FLAGS');
  const serving = ['--json', '--bind', '127.0.0.1:0', '--access-log', 'off'];
  const child = spawn(process.execPath, [...profiling, COMMAND, ...args, ...serving], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const { listening } = JSON.parse(await firstLine(child)) as { listening: { url: string }[] };
  return { child, url: listening[0]!.url };
}

/** @param args beside where to listen and what to serve. */
export async function startHoldfast(root: string, args: readonly string[] = []): Promise<LoadServer> {
  const { child, url } = await startCommand(['node', '--root', root, '--config', CROWD_CONFIG, ...args]);
  return server('holdfast node', child, url, nodePath, nodePath);
}

export async function startBare(root: string, dir: string, mode: 'stream' | 'memory'): Promise<LoadServer> {
  const puts = join(dir, 'bare-puts');
  await mkdir(puts, { recursive: true });
  const child = spawn(process.execPath, [BARE, join(root, 'blobs'), puts, mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const port = Number(await firstLine(child));
  return server(`node:http ${mode}`, child, `http://127.0.0.1:${port}`, plainPath, plainPath);
}

/** One worker process, like the others; undefined where nginx is not installed. */
export async function startNginx(root: string, dir: string): Promise<LoadServer | undefined> {
  const program = ['nginx', '/usr/sbin/nginx'].find(installed);
  if (program === undefined) return undefined;
  const port = await freePort();
  const home = join(dir, 'nginx');
  await mkdir(join(home, 'puts'), { recursive: true });
  await writeFile(join(home, 'nginx.conf'), nginxConfig(home, join(root, 'blobs'), port));
  const child = spawn(program, ['-c', join(home, 'nginx.conf'), '-p', home, '-g', 'daemon off;'], {
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  await answers(port);
  return server('nginx', child, `http://127.0.0.1:${port}`, plainPath, (hex) => `/puts/${hex}`);
}

const nginxConfig = (home: string, blobs: string, port: number): string => `
${process.getuid?.() === 0 ? 'user root root;' : ''}
worker_processes 1;
pid ${home}/pid;
error_log ${home}/error.log;
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  types { }
  default_type application/octet-stream;
  client_max_body_size 0;
  client_body_temp_path ${home}/temp;
  server {
    listen 127.0.0.1:${port};
    location / { root ${blobs}; }
    location /puts/ { root ${home}; dav_methods PUT; }
  }
}
`;

function server(
  name: ServerName,
  child: ChildProcess,
  url: string,
  pathOf: (hex: string) => string,
  putPathOf: (hex: string) => string,
): LoadServer {
  const pid = child.pid!;
  const stop = (signal?: 'SIGKILL'): Promise<void> => stopChild(child, signal);
  return { name, url, pid, pathOf, putPathOf, stop, cpuSeconds: () => cpuSecondsOf(pid) };
}

/** @param signal default SIGTERM, which lets requests finish. */
export async function stopChild(child: ChildProcess, signal?: 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal ?? 'SIGTERM');
  await once(child, 'close');
}

/** @throws Error when the process ends or says nothing. */
async function firstLine(child: ChildProcess): Promise<string> {
  const signal = AbortSignal.timeout(START_MS);
  const ended = once(child, 'close', { signal }).then(() => {
    throw new Error(`${child.spawnargs.join(' ')} ended at once`);
  });
  ended.catch(() => {});
  const [line] = (await Promise.race([once(child.stdout!, 'data', { signal }), ended])) as [Buffer];
  child.stdout!.resume();
  return String(line).trim();
}

async function freePort(): Promise<number> {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const { port } = holder.address() as AddressInfo;
  holder.close();
  await once(holder, 'close');
  return port;
}

async function answers(port: number): Promise<void> {
  for (const end = performance.now() + START_MS; performance.now() < end; ) {
    const socket = connect(port, '127.0.0.1');
    const open = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`nothing answers on port ${port}`);
}
