import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { secureRandom } from '../../src/core/random.ts';
import type { AdapterKind } from '../../src/providers/kind.ts';
import { adapterKinds, openAdapter } from '../../src/providers/registry.ts';
import { runConformance } from '../../src/providers/testing/index.ts';
import { deps } from '../providers/deps.ts';

/** The adapter of docs/write-an-adapter.md, as a stranger would use it: against the package that was built. */

const folder = await mkdtemp(join(tmpdir(), 'holdfast-shelf-'));
afterAll(() => rm(folder, { recursive: true }));
const file = new URL('../../examples/adapter/shelf.mjs', import.meta.url);
const { shelf } = (await import(pathToFileURL(file.pathname).href)) as { shelf: AdapterKind };
const kinds = adapterKinds([shelf]);

it('the example of an adapter keeps the contract', async () => {
  const open = () => openAdapter({ id: 'a', adapter: 'shelf', folder } as never, { ...deps, env: {} }, kinds);
  const { cases, failed, passed } = await runConformance({ ...deps, random: secureRandom, open });
  expect(cases.filter(({ outcome }) => outcome === 'failed').map(({ name, reason }) => [name, reason])).toEqual(
    [],
  );
  expect(failed).toBe(0);
  expect(passed).toBeGreaterThan(50);
});

it('its keys are checked and its paths start at the home, as those of other kinds', () => {
  const load = (text: string) =>
    loadConfig({ text: `[[providers]]\nid = "a"\n${text}`, file: 'c.toml', env: {}, home: '/h', kinds });
  const { providers } = load('adapter = "shelf"\nfolder = "blobs"');
  expect(providers[0]).toMatchObject({ adapter: 'shelf', folder: '/h/blobs', price: 1 });
  expect(() => load('adapter = "shelf"')).toThrow(/c\.toml:1: providers\[0\]\.folder: is missing/);
  expect(() => load('adapter = "shelf"\nfolder = "a"\nroot = "b"')).toThrow(/root: is not a known key here/);
  expect(() => load('adapter = "attic"')).toThrow(/allowed: "fs", .*"shelf"/);
});
