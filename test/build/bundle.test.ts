import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const DIST = resolve(import.meta.dirname, '../../dist');
const CHUNKS = readdirSync(join(DIST, 'chunks')).map((name) => join(DIST, 'chunks', name));
const STATIC = /^(?:import|export)\b[^;\n]*?"([^"\n]+)";$/gm;

/** What is loaded with these files: ours, and packages. Node's own modules are left out. */
function loadedWith(...files: readonly string[]): { ours: Set<string>; packages: Set<string> } {
  const ours = new Set(files);
  const packages = new Set<string>();
  for (const file of ours) {
    for (const [, target] of readFileSync(file, 'utf8').matchAll(STATIC)) {
      if (target!.startsWith('.')) ours.add(resolve(dirname(file), target!));
      else if (!target!.startsWith('node:')) packages.add(target!);
    }
  }
  return { ours, packages };
}

const chunk = (name: string): string => {
  const found = CHUNKS.filter((path) => new RegExp(`/${name}-[\\w-]{8}\\.js$`).test(path));
  expect(found, name).toHaveLength(1);
  return found[0]!;
};

describe('the bundle', () => {
  it('has all that a read starts with in a few files, packages too', () => {
    const { ours, packages } = loadedWith(join(DIST, 'cli/main.js'), chunk('app'), chunk('get'));
    expect([...packages]).toEqual([]);
    expect(ours.size).toBeLessThanOrEqual(10);
  });

  it('gives a worker thread only what a worker needs', () => {
    const { ours, packages } = loadedWith(join(DIST, 'chunks/worker.js'));
    expect([...packages]).toEqual([]);
    expect([...ours].map((path) => path.replace(/^.*\/|-[\w-]{8}(?=\.js$)|\.js$/g, '')).sort()).toEqual([
      'base',
      'work',
      'worker',
    ]);
  });

  it('comes with the licence of every package in it', () => {
    const maps = CHUNKS.filter((path) => path.endsWith('.js.map'));
    const sources = maps.flatMap(
      (path) => (JSON.parse(readFileSync(path, 'utf8')) as { sources: string[] }).sources,
    );
    const names = sources.flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []);
    const licences = readFileSync(join(DIST, 'LICENCES.txt'), 'utf8');
    expect(new Set(names)).toContain('cborg');
    for (const name of new Set(names))
      expect(licences).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(`, 'm'));
  });
});
