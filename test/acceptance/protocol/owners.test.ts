import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CliVault, MAIN, providersToml, SMALL_PIECES, said, start } from '../../helpers/cli.ts';
import { inContainer, withContainers } from '../../helpers/container.ts';
import { noise } from '../../helpers/vault.ts';

const MIB = 1024 * 1024;
const TWO_THREADS = fileURLToPath(new URL('children/two-threads.mjs', import.meta.url));
const LIBRARY = fileURLToPath(new URL('../index.js', `file://${MAIN}`));

let cli: CliVault;
const children: ChildProcess[] = [];
beforeEach(async () => {
  cli = await CliVault.create(SMALL_PIECES);
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await cli.remove();
});

/** A program with its own standard streams. */
function run([program, ...args]: readonly string[]) {
  const env = { PATH: process.env.PATH, HOLDFAST_NATIVE: process.env.HOLDFAST_NATIVE };
  const child = spawn(program!, args, { env, stdio: 'pipe' });
  children.push(child);
  child.stdin.on('error', () => {});
  const outcome = Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]).then(
    ([[code], stdout, stderr]) => ({ code: code as number | null, said: `${stdout}${stderr}`, stdout }),
  );
  return { stdin: child.stdin, child, outcome };
}

/** A command as the only process of a machine of that name. */
const runOn = (hostname: string, [command, ...args]: readonly string[]) =>
  run([...inContainer(hostname), process.execPath, MAIN, command!, ...cli.flags, ...args]);

/** Providers that stay where they are whoever copies a home. */
const providersAt = (folder: string): string =>
  providersToml(9).replaceAll('"providers/', `"${folder}/providers/`);

const blobsAre = (atLeast: number): Promise<void> =>
  expect.poll(async () => (await cli.blobs()).length, { timeout: 60_000 }).toBeGreaterThan(atLeast);

async function isWhole(name: string, bytes: Uint8Array): Promise<void> {
  const got = await cli.run(['get', name]);
  expect(got.code, said(got)).toBe(0);
  expect(Buffer.compare(got.stdout, bytes)).toBe(0);
  const verify = await cli.run(['verify', name]);
  expect(verify.code, said(verify)).toBe(0);
}

/** A copy of what is being worked on: a file may vanish under it, and then it begins anew. */
async function copyAtWork(from: string, to: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return await cp(from, to, { recursive: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || tries === 20) throw error;
      await rm(to, { recursive: true, force: true });
    }
  }
}

describe('the sweep destroys nothing that is acknowledged', () => {
  it('two threads on one home: what one is storing outlives what the other clears up', async () => {
    const both = run([process.execPath, TWO_THREADS, LIBRARY, cli.home, join(cli.home, 'storage.toml')]);
    await blobsAre(15);
    both.stdin.end();
    const { code, stdout, said: output } = await both.outcome;
    expect([code, stdout], output).toEqual([0, expect.stringMatching(/^b3:/)]);
    await isWhole(
      'slow',
      createHash('shake256', { outputLength: 2 * MIB })
        .update('slow')
        .digest(),
    );
  });

  withContainers(
    'two containers, all processes of which are number 1 of the same host: what one is storing outlives what the other clears up',
    async () => {
      const bytes = noise(2 * MIB, 7);
      const slow = runOn('box', ['put', '-', '--name', 'slow']);
      slow.stdin.write(bytes.subarray(0, MIB));
      await blobsAre(15);
      for (const command of [
        ['put', '-', '--name', 'quick'],
        ['rm', 'quick'],
        ['gc', '--min-age', '1s'],
      ]) {
        const quick = runOn('box', command);
        quick.stdin.end(noise(100_000, 8));
        const { code, said: output } = await quick.outcome;
        expect(code, output).toBe(0);
      }
      slow.stdin.end(bytes.subarray(MIB));
      const { code, said: output } = await slow.outcome;
      expect(code, output).toBe(0);
      await isWhole('slow', bytes);
    },
  );
});

it('a copy of the home that works while the original stores takes nothing from it', async () => {
  const original = await CliVault.create(`${SMALL_PIECES}${providersAt(cli.home)}`);
  const copied = `${original.home}.copy`;
  try {
    const bytes = noise(2 * MIB, 7);
    const pieces = new PassThrough();
    const slow = original.start(['put', '-', '--name', 'slow'], { input: pieces });
    pieces.write(bytes.subarray(0, MIB));
    await blobsAre(15);
    await copyAtWork(original.home, copied);
    const copy = (command: readonly string[]) =>
      start([...command, '--home', copied, '--config', join(copied, 'storage.toml')], { input: noise(1000) });
    for (const command of [['put', '-', '--name', 'quick'], ['gc'], ['rm', 'quick'], ['gc']]) {
      const done = await copy(command).outcome;
      expect(done.code, said(done)).toBe(0);
    }
    pieces.end(bytes.subarray(MIB));
    const put = await slow.outcome;
    expect(put.code, said(put)).toBe(0);
    const got = await original.run(['get', 'slow']);
    expect(got.code, said(got)).toBe(0);
    expect(Buffer.compare(got.stdout, bytes)).toBe(0);
    expect((await original.run(['verify', 'slow'])).code).toBe(0);
  } finally {
    await original.remove();
    await rm(copied, { recursive: true, force: true });
  }
});

withContainers(
  'a host name that changes with every run leaks nothing of the runs that were killed',
  async () => {
    for (const hostname of ['monday', 'tuesday']) {
      const killed = runOn(hostname, ['put', '-', '--name', hostname]);
      killed.stdin.write(noise(MIB, 3));
      await blobsAre(15);
      killed.child.kill('SIGKILL');
      await killed.outcome;
    }
    const settled = async (): Promise<number> => {
      const next = runOn('wednesday', ['put', '-', '--name', 'kept']);
      next.stdin.end(noise(1000, 9));
      expect((await next.outcome).code).toBe(0);
      expect((await cli.run(['rm', 'kept'])).code).toBe(0);
      return (await cli.blobs()).length;
    };
    await expect.poll(settled, { timeout: 60_000 }).toBe(0);
  },
);
