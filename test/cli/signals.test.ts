import { execFileSync } from 'node:child_process';
import { constants } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { start } from '../helpers/cli.ts';

/** Far more than ending takes; what does not heed the second signal needs for ever. */
const AT_ONCE_MS = 10_000;

/** The other end of a pipe, once somebody reads it. Nothing is written, so the reader waits in its system call. */
async function heldPipe(path: string): Promise<FileHandle> {
  for (;;) {
    const writer = await open(path, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => undefined);
    if (writer !== undefined) return writer;
    await sleep(20);
  }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  it(`a second ${signal} ends the process at once, also while one of its threads hangs in a system call`, async () => {
    const home = await mkdtemp(join(tmpdir(), 'holdfast-signals-'));
    onTestFinished(() => rm(home, { recursive: true, force: true }));
    await start(['init', '--home', home], { env: { HOLDFAST_PASSPHRASE: 'correct horse' } }).outcome;
    const pipe = join(home, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const { child, outcome } = start(['ls', '--home', home], { env: { HOLDFAST_PASSPHRASE_FILE: pipe } });
    const writer = await heldPipe(pipe);
    onTestFinished(async () => {
      child.kill('SIGKILL');
      await writer.close();
    });
    child.kill(signal);
    await sleep(200);
    expect(child.signalCode).toBeNull();
    // The first may still be on its way to the program, which a busy machine keeps waiting.
    let ended = false;
    void outcome.then(() => {
      ended = true;
    });
    for (const started = performance.now(); !ended && performance.now() - started < AT_ONCE_MS; ) {
      child.kill(signal);
      await sleep(200);
    }
    expect(child.signalCode).toBe(signal);
  });
}
