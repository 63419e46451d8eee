import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { absent } from '../helpers/absent.ts';

export interface RunningServer {
  readonly port: number;
  /** Where it keeps its state, keys and certificates. */
  readonly dir: string;
  stop(): Promise<void>;
  /** `kill -9`; what it stored stays. */
  kill(): Promise<void>;
  /** On the same port, with what it stored. Only where the script can run again in its folder: nginx-dav, rclone-dav, postgres. */
  restart(): Promise<void>;
}

export interface NotInstalled {
  readonly missing: string;
}

/** Of the package: compiled, this file does not lie beside the scripts. */
const SCRIPTS = join(packageAbove(fileURLToPath(import.meta.url)), 'test/servers');
const NOT_INSTALLED = 77;
/** Ports after the first that some of the servers use. */
const PORTS_EACH = 5;
const START_TIMEOUT_MS = 120_000;

/**
 * Starts `test/servers/<name>.sh` with throw-away state.
 * @returns undefined, having said so, when what it needs is not installed; in CI and with
 * HOLDFAST_REQUIRE_SERVERS=1 that is an error.
 */
export async function startServer(
  name: string,
  env: NodeJS.ProcessEnv = {},
): Promise<RunningServer | undefined> {
  const server = await launchServer(name, env);
  if (!('missing' in server)) return server;
  absent(server.missing, `the server ${name}`);
  return undefined;
}

/** The same, but says what is missing instead of judging it. */
export async function launchServer(
  name: string,
  env: NodeJS.ProcessEnv = {},
): Promise<RunningServer | NotInstalled> {
  const dir = await mkdtemp(join(tmpdir(), `holdfast-${name}-`));
  const port = await freePorts();
  const abandon = (): void => abandonServer(dir);
  process.once('exit', abandon);
  const stop = async (): Promise<void> => {
    process.removeListener('exit', abandon);
    await Promise.all(pidsIn(dir).map((pid) => end(pid, ['SIGTERM', 'SIGKILL'])));
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  };
  const start = () => run(join(SCRIPTS, `${name}.sh`), [dir, String(port)], env);
  const kill = async (): Promise<void> => {
    await Promise.all(pidsIn(dir).map((pid) => end(pid, ['SIGKILL'])));
  };
  const restart = async (): Promise<void> => {
    const failed = await start();
    if (failed !== undefined) throw new Error(`${name} did not start again: ${failed.output}`);
  };
  const failure = await start();
  if (failure === undefined) return { port, dir, stop, kill, restart };
  await stop();
  if (failure.code !== NOT_INSTALLED) throw new Error(`${name} did not start: ${failure.output}`);
  return { missing: failure.output.trim() };
}

function packageAbove(file: string): string {
  const folder = dirname(file);
  return existsSync(join(folder, 'package.json')) ? folder : packageAbove(folder);
}

function pidsIn(dir: string): number[] {
  const files = readdirSync(dir).filter((file) => file.endsWith('.pid'));
  const pids = files.map((file) => Number(readFileSync(join(dir, file), 'utf8')));
  return pids.filter((pid) => Number.isSafeInteger(pid) && pid > 1);
}

/** For a test run that ends without having stopped it. */
function abandonServer(dir: string): void {
  for (const pid of pidsIn(dir)) {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // it has ended by itself
    }
  }
  rmSync(dir, { recursive: true, force: true });
}

function run(
  script: string,
  args: string[],
  env: NodeJS.ProcessEnv,
): Promise<{ code: unknown; output: string } | undefined> {
  const options = { timeout: START_TIMEOUT_MS, env: { ...process.env, ...env } };
  return new Promise((resolve) => {
    execFile('bash', [script, ...args], options, (error, stdout, stderr) => {
      resolve(error === null ? undefined : { code: error.code, output: `${stdout}${stderr}` });
    });
  });
}

/** The scripts make every process the leader of its own group, so its children end with it. */
async function end(pid: number, signals: readonly NodeJS.Signals[]): Promise<void> {
  for (const signal of signals) {
    for (let i = 0; i < 20; i++) {
      try {
        process.kill(-pid, i === 0 ? signal : 0);
      } catch {
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function freePorts(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const first = 20_000 + Math.floor(Math.random() * 12_000);
    const free = await Promise.all(Array.from({ length: PORTS_EACH }, (_, i) => isFree(first + i)));
    if (free.every(Boolean)) return first;
  }
  throw new Error('no free ports');
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  const outcome = await Promise.race([
    once(server, 'listening').then(() => true),
    once(server, 'error').then(() => false),
  ]);
  server.close();
  return outcome;
}
