import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it } from 'vitest';
import { METRICS } from '../../src/telemetry/names.ts';
import { start } from '../helpers/cli.ts';

/** Names in the documents that nothing answers to any more. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const DOCUMENTS = [
  ...['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md'],
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => join('docs', path)),
];
const matches = (pattern: RegExp): { document: string; found: RegExpMatchArray }[] =>
  DOCUMENTS.flatMap((document) =>
    [...read(document).matchAll(pattern)].map((found) => ({ document, found })),
  );

/** Flags by command, as the program itself lists them. */
const flags = new Map<string, ReadonlySet<string>>();
const helpOf = async (...command: string[]): Promise<string> =>
  (await start([...command, '--help']).outcome).stdout.toString();
beforeAll(async () => {
  const commands: string[][] = [];
  for (const group of [[], ['providers'], ['receipts'], ['bench']]) {
    for (const [, name] of (await helpOf(...group)).matchAll(/^ {2}holdfast ((?:[a-z-]+ ?)+)/gm)) {
      commands.push(
        name!
          .trim()
          .split(' ')
          .slice(0, group.length + 1),
      );
    }
  }
  for (const command of commands) {
    const named = (await helpOf(...command)).match(/--[a-z][a-z-]*/g);
    flags.set(command.join(' '), new Set(named));
  }
});
const has = (command: string, flag: string): boolean =>
  flag === '--help' || (flags.get(command)?.has(flag) ?? false);

it('every command line in the documents is one that the program takes', () => {
  const wrong: string[] = [];
  let seen = 0;
  for (const { document, found } of matches(/\bholdfast ((?:[a-z-]+ )*[a-z-]+)([^\n`|#]*)/g)) {
    const words = found[1]!.split(' ');
    const given = (found[0].match(/ --[a-z][a-z-]*/g) ?? []).map((flag) => flag.trim());
    const command = [2, 1].map((count) => words.slice(0, count).join(' ')).find((name) => flags.has(name));
    if (given.length === 0) continue;
    seen++;
    if (command === undefined) wrong.push(`${document}: ${found[0]}`);
    else for (const flag of given) if (!has(command, flag)) wrong.push(`${document}: ${command} ${flag}`);
  }
  expect(wrong).toEqual([]);
  expect(seen).toBeGreaterThan(5);
});

it('every command that the documents name is one there is', () => {
  const known = new Set(['help', ...[...flags.keys()].map((command) => command.split(' ')[0])]);
  const named = matches(/(?:`|npx )holdfast (?!key file)([a-z-]+)/g);
  expect(named.length).toBeGreaterThan(30);
  const wrong = named.filter(({ found }) => !known.has(found[1]!));
  expect(wrong.map(({ document, found }) => `${document}: ${found[1]}`)).toEqual([]);
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
  const others = new Set(['--only']); // of the benchmarks
  expect(named.filter((flag) => !has(command, flag) && !others.has(flag))).toEqual([]);
});

it('every key of the configuration that a document names is in the shipped one', () => {
  const keys = new Set<string>();
  let section = '';
  for (const line of read('config/storage.toml').split('\n')) {
    section = /^\[([a-z]+)\]$/.exec(line)?.[1] ?? section;
    const key = /^([a-z_]+) = /.exec(line)?.[1];
    if (key !== undefined) keys.add(`${section}.${key}`);
  }
  const sections =
    'chunks|compression|erasure|fountain|packs|placement|limits|rollout|engine|node|gateway|daemon';
  const named = matches(new RegExp(`\`((?:${sections})\\.(?!md\`)[a-z_]+)\``, 'g'));
  expect(named.length).toBeGreaterThan(5);
  const wrong = named.filter(({ found }) => !keys.has(found[1]!));
  expect(wrong.map(({ document, found }) => `${document}: ${found[1]}`)).toEqual([]);
});

it('every metric that a document names is one there is', () => {
  const recorded = new Set(read('docs/operations/prometheus-rules.yml').match(/holdfast:[a-z0-9_:]+/g));
  const named = matches(/(?<![a-z_:])(holdfast:[a-z0-9_:]+|storage_[a-z_]*[a-z]|[a-z_]+_total)\b/g);
  expect(named.length).toBeGreaterThan(20);
  const wrong = named.filter(
    ({ found: [, name] }) => !(name! in METRICS) && !recorded.has(name!) && name !== 'storage_repair',
  );
  expect(wrong.map(({ document, found }) => `${document}: ${found[1]}`)).toEqual([]);
});
