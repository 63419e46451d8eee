import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { type Running, start } from '../helpers/cli.ts';

/** Far more than ending takes; a process that has to be killed needs for ever. */
const AT_ONCE_MS = 10_000;

/**
 * Started, stuck in a system call, and told to stop once, which it cannot. How long a start takes is not known, and a
 * signal before its end is the system's to handle: then another try waits longer.
 */
async function stuck(home: string, pipe: string, signal: NodeJS.Signals): Promise<Running> {
  for (let waitMs = 500; waitMs <= 8_000; waitMs *= 2) {
    const running = start(['ls', '--home', home], { env: { HOLDFAST_PASSPHRASE_FILE: pipe } });
    await sleep(waitMs);
    running.child.kill(signal);
    await sleep(500);
    if (running.child.exitCode === null && running.child.signalCode === null) return running;
  }
  throw new Error('it ended at the first signal each time');
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  it(`a second ${signal} ends the process at once, also while one of its threads hangs in a system call`, async () => {
    const home = await mkdtemp(join(tmpdir(), 'holdfast-signals-'));
    onTestFinished(() => rm(home, { recursive: true, force: true }));
    await start(['init', '--home', home], { env: { HOLDFAST_PASSPHRASE: 'correct horse' } }).outcome;
    const pipe = join(home, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const { child, outcome } = await stuck(home, pipe, signal);
    onTestFinished(() => void child.kill('SIGKILL'));
    child.kill(signal);
    await Promise.race([outcome, sleep(AT_ONCE_MS)]);
    expect(child.signalCode).toBe(signal);
  });
}
