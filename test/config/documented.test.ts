import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { withKeysTable } from '../../scripts/api/providers.mjs';
import { loadConfig } from '../../src/config/load.ts';
import { BUILT_IN } from '../../src/providers/registry.ts';

/** Configurations in the documents: whoever copies one gets what it says. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const load = (text: string) =>
  loadConfig({ text, file: 'storage.toml', env: {}, home: '/home/me/.holdfast' });
const blocksOf = (text: string): string[] =>
  [...text.matchAll(/^```toml\n(.*?)^```$/gms)].map((found) => found[1]!);
const DOCUMENTS = [
  ...['README.md', 'CONTRIBUTING.md'],
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => join('docs', path)),
];

it('every block of configuration in a document is one that is accepted', () => {
  let blocks = 0;
  for (const document of DOCUMENTS) {
    for (const block of blocksOf(read(document)).filter((text) => /^\[\[providers/m.test(text))) {
      blocks++;
      expect(() => load(block), `${document}:\n${block}`).not.toThrow();
    }
  }
  expect(blocks).toBeGreaterThan(9);
});

it('docs/providers.md has a complete block for each place, and they go together', () => {
  const blocks = blocksOf(read('docs/providers.md'));
  const { providers } = load(blocks.join('\n'));
  const ids = ['disk2', 'aws', 'r2', 'b2', 'minio', 'nextcloud', 'attic', 'drive', 'cellar'];
  expect(providers.map(({ id }) => id)).toEqual(expect.arrayContaining(ids));
  expect(providers.length).toBe(blocks.length);
});

it('docs/providers.md names every key of every kind, as the kinds do', () => {
  const page = read('docs/providers.md');
  expect(page).toBe(withKeysTable(page, BUILT_IN.all));
  const [fields, ...others] = [...page.matchAll(/^\| `s3` \| `(?:slots|path_style)` \| `true` \|/gm)];
  expect([fields, ...others]).toHaveLength(2);
});
