import { type ChildProcess, spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeRoot } from '../load-blobs.ts';
import { cpuNanosOf, memoryOf } from '../proc.ts';
import { farFrom } from './far.ts';
import { endsWithUs, firstLine, portIn } from './servers.ts';
import type { Way } from './way.ts';

/** A server process of ours under load. */
export interface Subject {
  readonly port: number;
  cpuSeconds(): number;
  memory(which: 'VmRSS' | 'VmHWM'): number;
  /** Of the access log, by now. */
  loggedLines(): Promise<number>;
  close(): Promise<void>;
}

/** A backend in another region: so far, and now and then much further. Milliseconds. */
const FAR_AWAY = { ms: 40, slowMs: 400, slowShare: 0.08 } as const;
/** What is logged goes out in batches. */
const LOG_SETTLES_MS = 500;

async function start(dir: string, program: string, args: readonly string[]): Promise<Subject> {
  const log = join(dir, `access-${args[0]}-${Math.random().toString(36).slice(2)}.log`);
  const serving = ['--json', '--bind', '127.0.0.1:0', '--access-log', log];
  const child: ChildProcess = spawn(process.execPath, [program, ...args, ...serving], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  endsWithUs(child);
  const port = portIn(await firstLine(child));
  const pid = child.pid!;
  return {
    port,
    cpuSeconds: () => cpuNanosOf(pid) / 1e9,
    memory: (which) => memoryOf(pid, which),
    async loggedLines() {
      await new Promise((resolve) => setTimeout(resolve, LOG_SETTLES_MS));
      return linesIn(log);
    },
    close: async () => void child.kill('SIGKILL'),
  };
}

async function linesIn(path: string): Promise<number> {
  let lines = 0;
  for await (const piece of createReadStream(path) as AsyncIterable<Buffer>)
    for (const byte of piece) if (byte === 10) lines++;
  return lines;
}

interface Rooted {
  readonly subject: Subject;
  /** Its folder. */
  readonly root: string;
}

export async function startNodeOver(dir: string, program: string): Promise<Rooted> {
  const root = await makeRoot(dir);
  const config = join(dir, 'node.toml');
  await writeFile(config, '[node]\nmax_client_connections = 0\n');
  return { subject: await start(dir, program, ['node', '--root', root, '--config', config]), root };
}

export async function startGatewayOver(dir: string, home: string, program: string): Promise<Subject> {
  const config = join(dir, 'gateway.toml');
  await writeFile(config, '[gateway]\nmax_client_connections = 0\n');
  return start(dir, program, ['gateway', '--home', home, '--config', config, '--with-repair']);
}

/** A node whose two backends have the same blobs in another region, where one answer in a dozen is very late. */
export async function startRegion(dir: string, program: string): Promise<Rooted> {
  const { subject: backend, root } = await startNodeOver(dir, program);
  const ways: Way[] = [];
  const delay = (): number => (Math.random() < FAR_AWAY.slowShare ? FAR_AWAY.slowMs : FAR_AWAY.ms);
  for (let i = 0; i < 2; i++) ways.push(await farFrom(backend.port, delay));
  const provider = ({ port }: Way, i: number): string =>
    `[[providers]]\nid = "b${i}"\nadapter = "http"\nurl = "http://127.0.0.1:${port}"\nmax_concurrency = 64\n`;
  const config = join(dir, 'region.toml');
  await writeFile(config, `[node]\nmax_client_connections = 0\n\n${ways.map(provider).join('\n')}`);
  const node = await start(dir, program, ['node', '--config', config, '--backend', 'b0', '--backend', 'b1']);
  const close = async (): Promise<void> => {
    await node.close();
    await backend.close();
    for (const way of ways) way.close();
  };
  return { subject: { ...node, close }, root };
}
