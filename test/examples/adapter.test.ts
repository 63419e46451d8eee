import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { AdapterKind } from '../../src/providers/kind.ts';
import { adapterKinds } from '../../src/providers/registry.ts';

/** The adapter of docs/write-an-adapter.md, as a stranger would use it: against the package that was built. */

const folder = await mkdtemp(join(tmpdir(), 'holdfast-shelf-'));
afterAll(() => rm(folder, { recursive: true }));
const built = <T>(path: string): Promise<T> => import(new URL(`../../${path}`, import.meta.url).href);
const { shelf } = await built<{ shelf: AdapterKind }>('examples/adapter/shelf.mjs');

it('the example of an adapter keeps the contract', async () => {
  const library = await built<typeof import('../../src/providers/index.ts')>('dist/providers/index.js');
  const testing = await built<typeof import('../../src/providers/testing/index.ts')>(
    'dist/providers/testing/index.js',
  );
  const { portableBlake3: blake3, secureRandom: random, systemClock: clock, runConformance } = testing;
  const kinds = library.adapterKinds([shelf]);
  const entry = { id: 'a', adapter: 'shelf', folder };
  const open = () => library.openAdapter(entry, { blake3, random, clock, env: {} }, kinds);
  const { cases, passed } = await runConformance({ blake3, random, clock, open });
  const failed = cases.filter(({ outcome }) => outcome === 'failed');
  expect(failed.map(({ name, reason }) => `${name}: ${reason}`)).toEqual([]);
  expect(passed).toBeGreaterThan(50);
});

it('its keys are checked and its paths start at the home, as those of other kinds', () => {
  const kinds = adapterKinds([shelf]);
  const load = (text: string) =>
    loadConfig({ text: `[[providers]]\nid = "a"\n${text}`, file: 'c.toml', env: {}, home: '/h', kinds });
  const { providers } = load('adapter = "shelf"\nfolder = "blobs"');
  expect(providers[0]).toMatchObject({ adapter: 'shelf', folder: '/h/blobs', price: 1 });
  expect(() => load('adapter = "shelf"')).toThrow(/c\.toml:1: providers\[0\]\.folder: is missing/);
  expect(() => load('adapter = "shelf"\nfolder = "a"\nroot = "b"')).toThrow(/root: is not a known key here/);
  expect(() => load('adapter = "attic"')).toThrow(/allowed: "fs", .*"shelf"/);
});
