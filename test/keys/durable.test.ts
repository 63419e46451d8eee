import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createKeyFile, homePaths } from '../../src/compose/home.ts';
import { secureRandom } from '../../src/core/random.ts';
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
