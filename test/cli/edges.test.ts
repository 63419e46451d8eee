import { readdir } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runApp } from '../../src/cli/app.ts';
import type { CliContext } from '../../src/cli/flags.ts';
import type { Io } from '../../src/cli/io.ts';
import { Progress } from '../../src/cli/progress.ts';
import { CliVault, said, start } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';

let cli: CliVault;
beforeAll(async () => {
  cli = await CliVault.create();
});
afterAll(() => cli.remove());

const nothing = new Uint8Array(0);

class Screen extends Writable {
  readonly isTTY = true;
  columns = 50;
  text = '';
  override _write(piece: Buffer, _: string, done: () => void): void {
    this.text += piece.toString('latin1');
    done();
  }
}

/** The command line with a terminal before it. */
async function onTerminal(args: readonly string[]): Promise<{ out: Screen; err: Screen; code: number }> {
  const [out, err] = [new Screen(), new Screen()];
  const io = {
    env: { HOLDFAST_NATIVE: process.env.HOLDFAST_NATIVE },
    cwd: '/',
    stdin: process.stdin,
    stdout: out as unknown as Io['stdout'],
    stderr: err as unknown as Io['stderr'],
    signal: new AbortController().signal,
  };
  const context: Omit<CliContext, 'commandTable'> = { process, io, exitCode: 0 };
  await runApp([...args, '--home', cli.home], context);
  return { out, err, code: context.exitCode };
}

describe('wrong usage', () => {
  it.each([
    [['frobnicate', '--json'], /frobnicate/],
    [['put', '--json'], /file/],
    [['ls', '--jsn', '--json'], /--jsn.*--json/],
    [['manifests', '--json', '--limit', 'many'], /whole number/],
  ])('is told in JSON where that is asked for: %s', async (args, expected) => {
    const outcome = await start(args as string[], { input: nothing }).outcome;
    expect(outcome.code).toBe(2);
    const error = JSON.parse(outcome.stderr) as Record<string, unknown>;
    expect(error).toMatchObject({
      error: 'ConfigInvalid',
      code: 'usage',
      hint: expect.stringContaining('--help'),
    });
    expect(error.message).toMatch(expected);
  });

  it('is told in words otherwise, with what may have been meant', async () => {
    const outcome = await start(['ls', '--jsn', '--', '--json'], { input: nothing }).outcome;
    expect(outcome.stderr).toMatch(/--jsn, did you mean --json/);
    expect(() => JSON.parse(outcome.stderr)).toThrow();
  });
});

it('keys of JSON have one spelling', async () => {
  const put = await cli.run(['put', '-', '--name', 'spelled', '--json'], { input: noise(5) });
  const said: string[] = [put.stdout.toString()];
  for (const command of [
    ['stat', 'spelled'],
    ['manifest', 'spelled'],
    ['manifests'],
    ['verify', 'spelled'],
    ['config'],
    ['providers'],
    ['ls'],
    ['plan', '--providers', '3'],
  ])
    said.push((await cli.run([...command, '--json'])).stdout.toString());
  const failed = await cli.run(['put', '-', '--min-tolerates', '100', '--json'], { input: noise(5) });
  said.push(failed.stderr);
  const keys = said.flatMap((text) => [...text.matchAll(/"([A-Za-z0-9_]+)":/g)].map(([, key]) => key));
  expect(keys).toEqual(expect.arrayContaining(['worstCase', 'objectId', 'targetBytes']));
  expect(keys.filter((key) => key!.includes('_'))).toEqual([]);
});

it('an object without a name says how it is got', async () => {
  const put = await cli.run(['put', '-'], { input: noise(5, 2) });
  const address = /holdfast get (b3:[0-9a-f]{64})/.exec(put.stderr)?.[1];
  expect(address, said(put)).toBeDefined();
  expect((await cli.run(['get', address!])).stdout).toEqual(Buffer.from(noise(5, 2)));
});

it('a list of manifests that stops early says so', async () => {
  await cli.run(['put', '-'], { input: noise(5, 3) });
  const some = await cli.run(['manifests', '--limit', '1', '--json']);
  expect(JSON.parse(some.stdout.toString())).toHaveLength(1);
  expect(some.stderr).toContain('--limit');
  expect((await cli.run(['manifests'])).stderr).toBe('');
});

it('what is removed warns of no listeners', async () => {
  await cli.run(['put', '-', '--name', 'large'], { input: noise(3_000_000) });
  expect(said(await cli.run(['verify', 'large']))).not.toContain('Warning');
  expect(said(await cli.run(['rm', 'large']))).not.toContain('Warning');
});

it('validating a provider leaves nothing there', async () => {
  const fresh = await CliVault.create();
  const files = async (): Promise<string[]> =>
    (await readdir(fresh.providerRoot('p1'), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map(({ name }) => name);
  const before = await files();
  const outcome = await fresh.run(['providers validate', 'p1']);
  expect(outcome.code, said(outcome)).toBe(0);
  expect(await files()).toEqual(before);
  await fresh.remove();
});

describe('a terminal', () => {
  it('is given text, and binary only where it is asked for', async () => {
    await cli.run(['put', '-', '--name', 'text'], { input: Buffer.from('grüße, 🪸\n') });
    await cli.run(['put', '-', '--name', 'binary'], { input: Buffer.from('\u001b[2J\0\xff', 'latin1') });
    const text = await onTerminal(['get', 'text']);
    expect(Buffer.from(text.out.text, 'latin1').toString()).toBe('grüße, 🪸\n');
    const refused = await onTerminal(['get', 'binary']);
    expect(refused.out.text).toBe('');
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.err.text).toContain('-o -');
    const asked = await onTerminal(['get', 'binary', '-o', '-']);
    expect(asked).toMatchObject({ code: 0 });
    expect(asked.out.text).toBe('\u001b[2J\0\xff');
    expect((await cli.run(['get', 'binary'])).stdout).toHaveLength(6);
  });

  it.each([20, 30, 50, 80, 200, 0])('of %d columns is not written over its edge', async (columns) => {
    const screen = new Screen();
    screen.columns = columns;
    const progress = new Progress({ stderr: screen } as unknown as Io, 'verify', false);
    // The first update is due a moment after the start.
    await new Promise((resolve) => setTimeout(resolve, 120));
    progress.update(123_456_789, 987_654_321_012);
    const lines = screen.text.split('\r\u001b[K').filter((line) => line !== '');
    expect(lines).toHaveLength(1);
    expect(lines[0]!.length).toBeLessThan(columns || 80);
    if (columns >= 50) expect(lines[0]).toMatch(/^verify \[.*\] +0 %/);
  });
});
