import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/** What CONTRIBUTING.md says of the sources. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

it('no file is over 350 lines', () => {
  const lengths = ['src', 'test', 'bench', 'examples', 'scripts'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.(ts|mjs|js)$/.test(path) && !path.includes('node_modules'))
      .map((path) => ({ path: join(folder, path), lines: read(join(folder, path)).split('\n').length - 1 })),
  );
  expect(lengths.filter(({ lines }) => lines > 350)).toEqual([]);
});

it('every dependency has its line in the decisions, its exact version, and no line is of one that has gone', () => {
  const { dependencies, optionalDependencies, devDependencies } = JSON.parse(read('package.json')) as Record<
    string,
    Record<string, string>
  >;
  const versions = { ...dependencies, ...optionalDependencies, ...devDependencies };
  for (const [name, version] of Object.entries(versions)) expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
  const rows = [...read('docs/decisions/002-dependencies.md').matchAll(/^\| ([^|]*`[^|]*) \|/gm)];
  const named = rows.flatMap(([, cell]) => [...cell!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!));
  expect(named.sort()).toEqual(Object.keys(versions).sort());
});

it('the table of folders has the order that the layers are checked by', () => {
  const layers = [...read('scripts/layers.mjs').matchAll(/^ {2}'([a-z]+)',$/gm)].map(([, name]) => name!);
  const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  const rows = [...read('CONTRIBUTING.md').matchAll(/^\| ((?:`[a-z]+`(?:, )?)+) \|/gm)];
  const listed = rows.flatMap(([, cell]) => [...cell!.matchAll(/`([a-z]+)`/g)].map(([, name]) => name!));
  expect(listed.toSorted()).toEqual(folders.toSorted());
  expect(listed).toEqual(layers.filter((layer) => folders.includes(layer)));
});
