import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = 'dist/cli/main.js';
const START_MS = 20_000;

function start(args: readonly string[]) {
  const { PATH, HOLDFAST_NATIVE } = process.env;
  const child = spawn(process.execPath, args, { cwd: ROOT, env: { PATH, HOLDFAST_NATIVE } });
  let said = '';
  let failed = '';
  child.stdout.on('data', (piece: Buffer) => {
    said += piece.toString();
  });
  child.stderr.on('data', (piece: Buffer) => {
    failed += piece.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  return { child, ended, said: () => said, failed: () => failed };
}

/** Runs to the end. @returns what it printed. */
export async function run(args: readonly string[]): Promise<string> {
  const { ended, said, failed } = start(args);
  const code = await ended;
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${failed()}`);
  return said();
}

/** Runs until the test is over. @returns what `pattern` finds in what it prints first. */
export async function serve(args: readonly string[], pattern: RegExp): Promise<string> {
  const { child, ended, said, failed } = start(args);
  onTestFinished(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  const deadline = Date.now() + START_MS;
  for (;;) {
    const found = pattern.exec(said())?.[0];
    if (found !== undefined) return found;
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`${args.join(' ')}: ${failed()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export const holdfast = (...args: readonly string[]): readonly string[] => [MAIN, ...args];

export async function newVault(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-example-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const home = join(folder, 'home');
  await run(holdfast('init', '--home', home, '--unwrapped'));
  return home;
}
