import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/** What the pages say of files. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const under = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map((path) => `${folder}/${path.split('\\').join('/')}`)
    .filter((path) => !path.includes('node_modules'));

const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...under('docs').filter((path) => path.endsWith('.md')),
];
const FOLDERS = ['src', 'test', 'bench', 'scripts', 'examples', 'docs', 'config'];
const FILES = [...FOLDERS.flatMap(under), ...readdirSync(ROOT)];
const read = (page: string): string => readFileSync(join(ROOT, page), 'utf8');

/** As GitHub makes them of headings. */
const anchorsOf = (page: string): string[] =>
  [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );

/** A page may leave out the folders in front of a file. */
const isThere = (path: string): boolean =>
  FILES.some((file) => `/${file}`.endsWith(`/${path}`) || file.startsWith(`${path}/`));

it.each(PAGES)('%s names only files that there are', (page) => {
  const named = read(page).matchAll(/(?<![\w./-])(?:[\w./-]+\.(?:ts|mjs)\b|(?:src|test|docs)\/[\w./-]+)/g);
  const paths = [...named].map(([path]) => path.replace(/^(?:\.{1,2}\/)+/, '').replace(/[./]+$/, ''));
  expect(paths.filter((path) => !isThere(path))).toEqual([]);
});

it.each(PAGES)('every link of %s leads to a page, and to a heading of it', (page) => {
  const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
  const dead = links.filter((target) => {
    if (/^[a-z]+:/.test(target)) return false;
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : join(dirname(page), path);
    if (!existsSync(join(ROOT, file))) return true;
    return anchor !== undefined && !anchorsOf(file).includes(anchor);
  });
  expect(dead).toEqual([]);
});
