import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { expandPattern } from '../../src/cli/sources/expand.ts';
import { isPattern, nameMatcher } from '../../src/cli/sources/pattern.ts';

const FILES = [
  'a.txt',
  'b.txt',
  'b.md',
  '.hidden',
  'd/a.txt',
  'd/e/f.txt',
  'd/e/g.md',
  '.git/x.txt',
  '[x].txt',
];
let folder: string;
const found = async (pattern: string): Promise<string[]> =>
  (await expandPattern(pattern, folder, new AbortController().signal)).map(({ name }) => name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hf-pattern-'));
  for (const file of FILES) {
    await mkdir(join(folder, dirname(file)), { recursive: true });
    await writeFile(join(folder, file), '');
  }
  await symlink(folder, join(folder, 'd', 'loop'));
  await symlink('../a.txt', join(folder, 'd', 'link.txt'));
});
afterAll(() => rm(folder, { recursive: true }));

it.each([
  ['*.txt', ['[x].txt', 'a.txt', 'b.txt']],
  ['b.*', ['b.md', 'b.txt']],
  ['?.txt', ['a.txt', 'b.txt']],
  ['[!a].txt', ['b.txt']],
  ['[b-z].m[a-e]', ['b.md']],
  ['\\[x\\].t?t', ['[x].txt']],
  ['.*', ['.hidden']],
  ['d/*', ['a.txt', 'link.txt']],
  ['*/e/*', ['d/e/f.txt', 'd/e/g.md']],
  ['**/*.md', ['b.md', 'd/e/g.md']],
  ['d/**', ['a.txt', 'e/f.txt', 'e/g.md', 'link.txt']],
  ['**/**/e/**', ['d/e/f.txt', 'd/e/g.md']],
  ['d/../*.md', ['b.md']],
  ['no/*', []],
])('%s stands for %j', async (pattern, names) => {
  expect(await found(pattern)).toEqual(names);
  expect(await found(join(folder, pattern))).toEqual(names);
});

it('gives paths that can be opened, and names below the folder where the wildcards start', async () => {
  const files = await expandPattern('d/e/*.md', folder, new AbortController().signal);
  expect(files).toEqual([{ path: 'd/e/g.md', name: 'g.md' }]);
});

it('ends when it is told to', async () => {
  await expect(expandPattern('**', folder, AbortSignal.abort())).rejects.toMatchObject({ kind: 'Aborted' });
});

it('knows a pattern from a name', () => {
  for (const word of ['*', 'a?', '[a', 'd/**']) expect(isPattern(word)).toBe(true);
  for (const word of ['a', '\\*', 'a\\[b\\]', 'ä{b,c}']) expect(isPattern(word)).toBe(false);
});

it('matches as a regular expression would', () => {
  const piece = fc.constantFrom('*', '?', '[ab]', '[!a]', '[a-c]', 'a', 'b', 'c', '.', '\\*', '*');
  const text = fc.array(fc.constantFrom('a', 'b', 'c', '.', '*', '😀'), { maxLength: 8 });
  const regex: Record<string, string> = { '*': '.*', '?': '.', '[!a]': '[^a]', '.': '\\.', '\\*': '\\*' };
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 6 }), text, (pieces, chars) => {
      const name = chars.join('');
      const expected = new RegExp(`^${pieces.map((one) => regex[one] ?? one).join('')}$`, 'su').test(name);
      const hidden = name.startsWith('.') && pieces[0] !== '.';
      expect(nameMatcher(pieces.join(''))(name)).toBe(expected && !hidden);
    }),
    { numRuns: 500 },
  );
});

it('is not slowed down by many stars', () => {
  expect(nameMatcher('*a'.repeat(120))(`${'a'.repeat(250)}b`)).toBe(false);
});
