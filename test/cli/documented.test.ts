import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse as parseToml } from 'smol-toml';
import { afterAll, expect, it } from 'vitest';
import { errorTable } from '../../scripts/api/errors.mjs';
import { commands } from '../../src/cli/app.ts';
import { SCHEMA, SECTION_NAMES } from '../../src/config/schema.ts';
import { tomlKey } from '../../src/core/fields.ts';
import { METRICS } from '../../src/telemetry/names.ts';
import { type CodeBlock, codeIn, commandLines, type Snippet } from '../helpers/documents.ts';
import { refusal } from '../helpers/dry-parser.ts';

/** What the documents name, and nothing answers to any more; what they tell to type, and the program refuses. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const DOCUMENTS = [
  ...readdirSync(ROOT).filter((path) => path.endsWith('.md')),
  'packaging/README.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => join('docs', path)),
];
const TEXTS = new Map(DOCUMENTS.map((document) => [document, read(document)]));
const matches = (pattern: RegExp): { document: string; found: RegExpMatchArray }[] =>
  [...TEXTS].flatMap(([document, text]) => [...text.matchAll(pattern)].map((found) => ({ document, found })));

const COUNTS = new Map<string, string>();
const distinct = (values: Iterable<string>): number => new Set(values).size;
afterAll(() => {
  console.log(
    ['documented, and there as written:', ...[...COUNTS].map((each) => `  ${each.join(': ')}`)].join('\n'),
  );
});

const TABLE = commands();
const byPath = new Map(TABLE.commands.map((command) => [command.path.join(' '), command]));
const groups = new Set(TABLE.groups.map(({ path }) => path.join(' ')));

/** The command that words begin with: the longest path that there is. */
function commandOf(words: readonly string[]): string | undefined {
  return [2, 1].map((count) => words.slice(0, count).join(' ')).find((path) => byPath.has(path));
}

const lines = [...TEXTS].flatMap(([document, text]) =>
  codeIn(text).flatMap((code) => commandLines(code).map((words) => ({ document, code, words }))),
);

it('every command line that the documents tell to type is one that the program takes', async () => {
  const wrong: string[] = [];
  const whole = lines.filter(
    ({ document, code, words }) => document !== 'CHANGELOG.md' && isWhole(code, words),
  );
  for (const { document, words } of whole) {
    const said = await refusal(words);
    if (said !== '') wrong.push(`${document}: holdfast ${words.join(' ')}: ${said.trim()}`);
  }
  expect(wrong).toEqual([]);
  expect(whole.length).toBeGreaterThan(40);
  COUNTS.set('command lines that the parser takes', String(whole.length));
});

/** In the middle of a text a command may be named by its first words only; with a placeholder it is not to be typed so. */
function isWhole({ kind }: Snippet, words: readonly string[]): boolean {
  const path = commandOf(words);
  const bare = path === undefined || words.length === path.split(' ').length;
  if (words.some((word) => /[<>[\]…]|^\.\.\.$/.test(word))) return false;
  return kind === 'block' || !bare;
}

it('every command and flag that the documents name is one there is', () => {
  const wrong: string[] = [];
  const seen = new Set<string>();
  const flags = new Set<string>();
  for (const { document, words } of lines) {
    const [first = ''] = words;
    const path = commandOf(words);
    if (path === undefined) {
      if (!groups.has(first) && !/^(help|--version|--help|COMMAND|…|version|key)$/.test(first))
        wrong.push(`${document}: ${words.join(' ')}`);
      continue;
    }
    seen.add(path);
    const known = new Set(byPath.get(path)!.flags.flatMap(({ name, alias }) => [name, alias ?? name]));
    for (const word of words.slice(1)) {
      const flag = /^--?[a-z][a-z-]*/.exec(word)?.[0];
      if (flag === undefined || /^-[a-z]{2}/.test(word)) continue;
      flags.add(`${path} ${flag}`);
      if (!known.has(flag)) wrong.push(`${document}: ${path} ${flag}`);
    }
  }
  expect(wrong).toEqual([]);
  COUNTS.set('commands', `${seen.size} of ${TABLE.commands.length}`);
  COUNTS.set('flags with their command', String(flags.size));
});

/** Names that records are sealed under begin so too, and end elsewhere. */
const NAMED =
  /`holdfast (?!key file|relocations of|moved\b|place owners)((?:[a-z][a-z-]* ?)+)[^`$\n]*(?:`|$)/gm;

it('every command that a hint of an error names is one there is', () => {
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.ts'),
  );
  const named = sources.flatMap((path) =>
    [...read(join('src', path)).matchAll(NAMED)].map(([, words]) => ({
      path,
      words: words!.trim().split(' '),
    })),
  );
  const wrong = named.filter(
    ({ words }) => commandOf(words) === undefined && !groups.has(words[0]!) && words[0] !== 'help',
  );
  expect(wrong).toEqual([]);
  expect(named.length).toBeGreaterThan(40);
  COUNTS.set('commands in hints', String(named.length));
});

it.each([
  ['docs/node.md', 'node'],
  ['docs/gateway.md', 'gateway'],
  ['docs/daemon.md', 'daemon'],
])('every flag that %s names is one of `holdfast %s`', (document, command) => {
  const named = [...read(document).matchAll(/`(--[a-z][^`]*)`/g)].flatMap(
    ([, text]) => text!.match(/--[a-z][a-z-]*/g) ?? [],
  );
  expect(named.length).toBeGreaterThan(5);
  const known = byPath.get(command)!.flags.map(({ name }) => name);
  const others = new Set(['--only']); // of the benchmarks
  expect(named.filter((flag) => !known.includes(flag) && !others.has(flag))).toEqual([]);
});

it('every key of the configuration that a document names is one there is', () => {
  const keys = SECTION_NAMES.flatMap((section) =>
    Object.keys(SCHEMA[section]).map((key) => `${section}.${tomlKey(key)}`),
  );
  const isFile = /\.(?:md|toml|ts|mjs|json|yml|root|final|log|cbor)$/;
  const named = matches(
    new RegExp(`(?<![\\w/.])((?:${SECTION_NAMES.join('|')})\\.[a-z_]{3,})(?![\\w(])`, 'g'),
  )
    .filter(
      ({ document }) => document !== 'docs/operations/configuration.md' && !document.startsWith('docs/api'),
    )
    .filter(({ found }) => !isFile.test(found[1]!));
  // Calls of JSON-RPC have names of that form too.
  const calls = readdirSync(join(ROOT, 'src/gateway'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => read(join('src/gateway', path)))
    .join('\n');
  const wrong = named.filter(({ found }) => !keys.includes(found[1]!) && !calls.includes(`'${found[1]}'`));
  expect(wrong.map(({ document, found }) => `${document}: ${found[1]}`)).toEqual([]);
  const blocks = [...TEXTS].flatMap(([, text]) => codeIn(text).filter(isToml));
  const inBlocks = blocks.flatMap(({ text }) =>
    Object.entries(parseToml(text) as Record<string, object>).flatMap(([section, table]) =>
      section === 'providers' ? [] : Object.keys(table).map((key) => `${section}.${key}`),
    ),
  );
  expect(inBlocks.filter((key) => !keys.includes(key))).toEqual([]);
  const all = [...named.map(({ found }) => found[1]!), ...inBlocks];
  const reference = read('docs/operations/configuration.md').match(/^\| `[a-z_]+` \|/gm) ?? [];
  expect(reference.length).toBe(keys.length);
  COUNTS.set('keys of the configuration', `${keys.length} in the reference, ${distinct(all)} elsewhere`);
});

const isToml = (code: Snippet): code is CodeBlock => code.kind === 'block' && code.language === 'toml';

it('every metric that a document names is one there is', () => {
  const recorded = new Set(read('docs/operations/prometheus-rules.yml').match(/holdfast:[a-z0-9_:]+/g));
  const named = matches(/(?<![a-z_:])(holdfast:[a-z0-9_:]+|storage_[a-z_]*[a-z]|rf_[a-z]+|[a-z_]+_total)\b/g);
  const others = new Set(['storage_repair', 'storage_engine', 'storage_pipeline', 'storage_legacy_mode']);
  const wrong = named.filter(
    ({ found: [, name] }) => !(name! in METRICS) && !recorded.has(name!) && !others.has(name!),
  );
  expect(wrong.map(({ document, found }) => `${document}: ${found[1]}`)).toEqual([]);
  const names = Object.keys(METRICS);
  const page = TEXTS.get('docs/operations/metrics.md')!;
  expect(names.filter((name) => !page.includes(`| \`${name}\` |`))).toEqual([]);
  const elsewhere = names.filter((name) =>
    [...TEXTS].some(([document, text]) => document !== 'docs/operations/metrics.md' && text.includes(name)),
  );
  COUNTS.set('metrics', `${names.length} in the reference, ${elsewhere.length} elsewhere`);
});

it('every kind and code of an error that a document names is one there is', () => {
  const codes = new Map(errorTable().map((entry) => [entry.code, entry]));
  const kinds = [...codes.keys()].filter((code) => /^[A-Z]/.test(code)).join('|');
  const coded = matches(/\bcodes? `([a-z]+(?:_[a-z]+)+)`/g).map(({ document, found }) => ({
    document,
    kind: undefined,
    code: found[1]!,
  }));
  const both = matches(new RegExp(`\`(${kinds})\`[ ,]{0,2}\\(?(?:code )?\`([a-z]+(?:_[a-z]+)+)\``, 'g')).map(
    ({ document, found }) => ({ document, kind: found[1]!, code: found[2]! }),
  );
  const named = [...coded, ...both];
  const wrong = named.filter(({ kind, code }) => {
    const entry = codes.get(code);
    return entry === undefined || (kind !== undefined && !entry.kinds.includes(kind));
  });
  expect(wrong).toEqual([]);
  const elsewhere = [...codes.keys()].filter((code) =>
    [...TEXTS].some(([document, text]) => !document.startsWith('docs/api') && text.includes(`\`${code}\``)),
  );
  COUNTS.set('error kinds and codes', `${codes.size} in the reference, ${elsewhere.length} elsewhere`);
});

it('every variable of the environment that a document names is read, and every one that is read is documented', () => {
  const inSources = ['src', 'test', 'bench', 'scripts'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.(ts|mjs|sh)$/.test(path) && !path.includes('node_modules'))
      .flatMap((path) => read(join(folder, path)).match(/\bHOLDFAST_[A-Z_]+\b/g) ?? [])
      .map((name) => ({ folder, name })),
  );
  const known = new Set(inSources.map(({ name }) => name));
  const named = new Set(matches(/\bHOLDFAST_[A-Z_]*[A-Z]\b/g).map(({ found }) => found[0]));
  expect([...named].filter((name) => !known.has(name))).toEqual([]);
  const ours = new Set(inSources.filter(({ folder }) => folder === 'src').map(({ name }) => name));
  expect([...ours].filter((name) => !named.has(name) && !name.endsWith('_'))).toEqual([]);
  COUNTS.set('variables of the environment', String(named.size));
});

it('every script that a document runs is one of package.json', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const named = matches(/\bnpm run (?:--silent |-s )?([a-z][a-z:]*)/g);
  expect(named.filter(({ found }) => !(found[1]! in scripts)).map(({ found }) => found[0])).toEqual([]);
  COUNTS.set('npm scripts', String(distinct(named.map(({ found }) => found[1]!))));
});
