import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { childrenOf, memoryOf } from './proc.ts';

export interface ProcessRun {
  readonly ms: number;
  readonly cpuSeconds: number;
  readonly peakRss: number;
  readonly stdout: string;
}

/** Does the program stand on the path? */
export function installed(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const SAMPLE_MS = 20;
const DEADLINE_MS = 600_000;

/**
 * Runs a program to its end and measures it, with all processes it starts: processor time from the shell's `times`, the
 * sum of their memory peaks from /proc while it runs (0 where there is none). @throws Error with what it wrote to stderr when it fails.
 */
export function measure(
  program: string,
  args: readonly string[],
  options: { env?: Record<string, string>; discard?: boolean } = {},
): Promise<ProcessRun> {
  // The program runs as a child of the shell, whose last line then tells the children's time.
  const redirect = options.discard ? ' >/dev/null' : '';
  const script = `"$@"${redirect} & echo $! >&3; wait $! || exit 1; times >&4`;
  const start = performance.now();
  const child = spawn('bash', ['-c', script, 'bench', program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    timeout: DEADLINE_MS,
  });
  const text = ['', '', '', '', ''];
  for (const fd of [1, 2, 3, 4]) {
    child.stdio[fd]!.on('data', (data: Buffer) => {
      text[fd] += String(data);
    });
  }
  let peakRss = 0;
  const sampler = setInterval(() => {
    const pid = Number(text[3]);
    if (pid > 0) peakRss = Math.max(peakRss, highWater(pid));
  }, SAMPLE_MS);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearInterval(sampler);
      if (code !== 0) return reject(new Error(`${program} ${args.join(' ')} failed: ${text[2]}`));
      const stdout = text[1]!;
      resolve({ ms: performance.now() - start, cpuSeconds: childTime(text[4]!), peakRss, stdout });
    });
  });
}

/** The second line of `times`: minutes and seconds, user and system, of the shell's children. */
function childTime(times: string): number {
  const parts = times
    .trim()
    .split('\n')
    .at(-1)!
    .matchAll(/(\d+)m([\d.,]+)s/g);
  return [...parts].reduce((sum, [, m, s]) => sum + 60 * Number(m) + Number(s!.replace(',', '.')), 0);
}

function highWater(pid: number): number {
  try {
    return childrenOf(pid).reduce((all, child) => all + highWater(child), memoryOf(pid, 'VmHWM') || 0);
  } catch {
    return 0;
  }
}
