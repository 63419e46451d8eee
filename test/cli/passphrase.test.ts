import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect, it, onTestFinished } from 'vitest';
import type { Io } from '../../src/cli/io.ts';
import { newPassphrase, readPassphrase } from '../../src/cli/passphrase.ts';

/** A terminal at which `typed` is typed, and what is in the environment. */
function terminal(typed: readonly string[], env: Io['env'] = {}): Io {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode() {} });
  const lines = [...typed];
  const stderr = { write: () => setImmediate(() => stdin.write(lines.shift() ?? '')) };
  const io = { env, cwd: '/', stdin, stdout: stderr, stderr, signal: new AbortController().signal };
  return io as unknown as Io;
}

async function file(text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-pass-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'pass'), text);
  return join(folder, 'pass');
}

it('takes what is typed, twice the same for a new key', async () => {
  expect(await readPassphrase(terminal(['a b\r']), '? ')).toBe('a b');
  expect(await newPassphrase(terminal(['a\r', '', 'a\r']))).toBe('a');
  for (const typed of [
    ['a\r', '', 'b\r'],
    ['\r', '', '\r'],
  ])
    await expect(newPassphrase(terminal(typed))).rejects.toMatchObject({ code: 'passphrase_mismatch' });
});

it('gives up when the input ends instead of an answer', async () => {
  for (const ask of [readPassphrase, newPassphrase])
    await expect(ask(terminal(['\u0004']), '? ')).rejects.toMatchObject({ kind: 'Aborted' });
});

it('makes no key with the empty passphrase of an empty file', async () => {
  for (const text of ['', '\n']) {
    const io = terminal([], { HOLDFAST_PASSPHRASE_FILE: await file(text) });
    await expect(newPassphrase(io)).rejects.toMatchObject({ kind: 'ConfigInvalid' });
  }
  expect(await newPassphrase(terminal([], { HOLDFAST_PASSPHRASE_FILE: await file('p\n') }))).toBe('p');
});

it('says why a passphrase file cannot be read', async () => {
  const io = terminal([], { HOLDFAST_PASSPHRASE_FILE: '/no/such/file' });
  await expect(readPassphrase(io, '? ')).rejects.toThrow(/\/no\/such\/file: there is no such file/);
});
