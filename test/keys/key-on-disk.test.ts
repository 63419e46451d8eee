import { chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { secureRandom } from '../../src/core/random.ts';
import { createKeyFile, homePaths, readRootKey } from '../../src/vault/home.ts';
import { watchFlushes } from '../helpers/flushes.ts';

it('a key file and its name are flushed before anything can be encrypted under it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-key-'));
  const paths = homePaths(join(folder, 'home'));
  const flushes: string[] = [];
  await watchFlushes((call) => flushes.push(call));
  await createKeyFile(paths, undefined, secureRandom);
  // The file, then its folder.
  expect(flushes).toEqual(['sync', 'sync']);
  expect(await readFile(paths.keyFile, 'utf8')).toContain('"root"');
  await rm(folder, { recursive: true });
});

const noPassphrase = (): Promise<string> => Promise.reject(new Error('it needs none'));

it('a bare key that others could read is taken from them when it is read', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-key-'));
  const paths = homePaths(folder);
  await createKeyFile(paths, undefined, secureRandom);
  const modeNow = async (): Promise<number> => (await stat(paths.keyFile)).mode & 0o777;
  expect(await modeNow()).toBe(0o600);
  for (const others of [0o040, 0o020, 0o004, 0o002, 0o044]) {
    await chmod(paths.keyFile, 0o600 | others);
    expect(await readRootKey(paths.keyFile, noPassphrase)).toHaveLength(32);
    expect(await modeNow()).toBe(0o600);
  }
  await rm(folder, { recursive: true });
});
