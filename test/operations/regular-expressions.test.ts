import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAst } from 'rolldown/parseAst';
import { expect, it } from 'vitest';

/**
 * Every regular expression of the sources is given texts that make a careless one go over them again and again. Servers
 * and users write much of what they read, and whoever waits for one waits for all.
 */

const SRC = fileURLToPath(new URL('../../src', import.meta.url));
/** A quadratic one needs seconds for this, a linear one a millisecond. */
const LENGTH = 50_000;
const LONGEST_MS = 1_000;

interface Found {
  readonly where: string;
  readonly expression: RegExp;
}

function expressionsOf(path: string): Found[] {
  const text = readFileSync(join(SRC, path), 'utf8');
  const found: Found[] = [];
  const look = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    if ('regex' in node && 'start' in node) {
      const { pattern, flags } = node.regex as { pattern: string; flags: string };
      const line = text.slice(0, node.start as number).split('\n').length;
      found.push({ where: `${path}:${line} /${pattern}/${flags}`, expression: new RegExp(pattern, flags) });
    } else for (const child of Object.values(node)) look(child);
  };
  look(parseAst(text, { lang: 'ts' }));
  return found;
}

/** What an expression might go over again: its own words, and one character of each kind. */
function pumpsOf({ source }: RegExp): string[] {
  const words = source.match(/[A-Za-z0-9:/-]{2,}/g) ?? [];
  const singles = [...'a0Z /=&?:@.,;-_%#"\'\\{[(*+\n\r\t\u0000\u00ff\ud83d'];
  const pairs = ['a ', ' a', '0:', 'a=', '?a', '&a', 'a/', '//', '" ', 'a,', ', ', '#\n', '\r\n'];
  return [
    ...singles,
    ...pairs,
    ...words,
    ...words.map((word) => `${word} `),
    ...words.map((word) => `?${word}`),
  ];
}

const EXPRESSIONS = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .flatMap(expressionsOf);

it('no regular expression takes more than linear time, whatever it is given', () => {
  expect(EXPRESSIONS.length).toBeGreaterThan(60);
  const slow: string[] = [];
  for (const { where, expression } of EXPRESSIONS) {
    const heads = ['', expression.source.match(/[A-Za-z0-9:/-]{2,}/)?.[0] ?? '"'];
    const tails = ['', '\u0001', '\n'];
    const texts = pumpsOf(expression).flatMap((pump) =>
      heads.flatMap((head) => tails.map((tail) => ({ head, pump, tail }))),
    );
    const bad = texts.find(({ head, pump, tail }) => {
      const text = head + pump.repeat(LENGTH / pump.length) + tail;
      const start = performance.now();
      text.replace(expression, '');
      return performance.now() - start > LONGEST_MS;
    });
    if (bad !== undefined) slow.push(`${where}: ${JSON.stringify(bad)}`);
  }
  expect(slow).toEqual([]);
});
