import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';

const SCRIPTS = resolve(import.meta.dirname, '../../scripts');

/** What a script says of a tree with these files. */
function check([script, ...args]: readonly [string, ...string[]], sources: Readonly<Record<string, string>>) {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-house-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const files = {
    'tsconfig.json': '{ "compilerOptions": { "noLib": true, "types": [] }, "include": ["src"] }',
    ...sources,
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  const command = [join(SCRIPTS, script), '--root', root, ...args];
  const { status, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' });
  // The parser's own process may say so when it is let go.
  return { status, wrong: stderr.replace(/^context canceled$/gm, '').trim() };
}

const LAYERS = ['layers.mjs'] as const;
const ROOMS = ['rooms.mjs', '--check'] as const;
const fine = { status: 0, wrong: '' };

it('an import that goes up is refused, however it is written', () => {
  const top = { 'src/cli/main.ts': "import '../core/a.ts';\nexport type Flag = string;\n" };
  expect(check(LAYERS, { ...top, 'src/core/a.ts': 'export const a = 1;\n' })).toEqual(fine);
  for (const up of [
    "import type { Flag } from '../cli/main.ts';",
    "export type { Flag } from '../cli/main.ts';",
    "type Main = typeof import('../cli/main.ts');",
    "const main = () => import('../cli/main.ts');",
  ]) {
    const { status, wrong } = check(LAYERS, { ...top, 'src/core/a.ts': `// one\n${up}\nexport {};\n` });
    expect(status).toBe(1);
    expect(wrong).toContain('src/core/a.ts:2 imports cli/main.ts');
  }
});

it('circles are refused, of types and of folders too', () => {
  const files = {
    'src/core/a.ts': "import './b.ts';\nexport type A = 1;\n",
    'src/core/b.ts': "import type { A } from './a.ts';\nexport type B = A;\n",
  };
  expect(check(LAYERS, files)).toEqual({
    status: 1,
    wrong: 'circle:\n  src/core/a.ts:1 imports core/b.ts\n  src/core/b.ts:1 imports core/a.ts (types only)',
  });
  const folders = {
    'src/core/x/one.ts': "import '../y/two.ts';\nexport {};\n",
    'src/core/x/three.ts': 'export {};\n',
    'src/core/y/two.ts': "import '../x/three.ts';\nexport {};\n",
  };
  expect(check(LAYERS, folders).wrong).toContain('src/core/y/two.ts:1 imports core/x');
  const down = { ...folders, 'src/core/y/two.ts': 'export {};\n' };
  expect(check(LAYERS, down)).toEqual(fine);
});

it('a drawing of the house that says otherwise than the lists is refused', () => {
  const folders = {
    'src/core/a.ts': 'export {};\n',
    'src/coding/b.ts': 'export {};\n',
    'src/cli/c.ts': 'export {};\n',
  };
  const drawn = (...rows: string[]) =>
    check(LAYERS, { ...folders, 'docs/architecture.md': rows.map((row) => `x │ ${row} │ y\n`).join('') });
  expect(drawn('cli    ▸ all below', 'coding ▸ core   ', 'core   ▸ nothing')).toEqual(fine);
  expect(drawn('cli    ▸ coding, core', 'coding ▸ all below', 'core   ▸ nothing')).toEqual(fine);
  expect(drawn('cli ▸ all below but core', 'coding ▸ core', 'core ▸ nothing').wrong).toBe(
    'docs/architecture.md draws cli ▸ all below but core; it may import core, coding',
  );
  expect(drawn('cli ▸ all below', 'coding ▸ nothing', 'core ▸ nothing').wrong).toBe(
    'docs/architecture.md draws coding ▸ nothing; it may import core',
  );
  expect(drawn('cli ▸ all below', 'core ▸ nothing').wrong).toBe(
    'docs/architecture.md draws the folders core, cli; there are core, coding, cli',
  );
});

it('functions and files that do not fit are refused', () => {
  const body = (lines: number): string => '  void 0;\n'.repeat(lines - 2);
  const made = (lines: number): string => `export const make = () => {\n${body(lines)}};\n`;
  expect(check(ROOMS, { 'src/core/a.ts': made(60) })).toEqual(fine);
  expect(check(ROOMS, { 'src/core/a.ts': made(61) })).toEqual({
    status: 1,
    wrong: 'src/core/a.ts:1 make has 61 lines; at most 60',
  });
  const method = `export const o = {\n  get long(): number {\n${body(60)}    return 1;\n  },\n};\n`;
  expect(check(ROOMS, { 'src/core/a.ts': method }).wrong).toBe(
    'src/core/a.ts:2 long has 61 lines; at most 60',
  );
  const lines = (count: number): string => 'export {};\n'.repeat(count);
  expect(check(ROOMS, { 'src/core/a.ts': lines(350) })).toEqual(fine);
  expect(check(ROOMS, { 'src/core/a.ts': lines(351) }).wrong).toBe(
    'src/core/a.ts has 351 lines; at most 350',
  );
});
