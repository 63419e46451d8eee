import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseAst } from 'rolldown/parseAst';
import { describe, expect, it } from 'vitest';
import { errorsPage, errorTable } from '../../scripts/api/errors.mjs';

const ROOT = resolve(import.meta.dirname, '../..');
const SOURCES = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !/core\/(errors|error-codes|engine-error-codes)\.ts$/.test(path))
  .map((path) => ({ path, text: readFileSync(join(ROOT, 'src', path), 'utf8') }));
const TABLE = new Map(errorTable().map((entry) => [entry.code, entry]));

interface Call {
  readonly type?: string;
  readonly callee?: { readonly name?: string };
  readonly arguments?: readonly { readonly value?: unknown; readonly properties?: unknown[] }[];
}

interface Thrown {
  readonly where: string;
  readonly kind: unknown;
  readonly code?: unknown;
  readonly status?: unknown;
}

/** Every `new HoldfastError(…)`, with what in it is literal. */
function* thrownIn(path: string, node: unknown): Generator<Thrown> {
  if (Array.isArray(node)) {
    for (const item of node) yield* thrownIn(path, item);
    return;
  }
  if (typeof node !== 'object' || node === null) return;
  const { type, callee, arguments: given = [] } = node as Call;
  if (type === 'NewExpression' && callee?.name === 'HoldfastError') {
    const [kind, , detail] = given;
    yield { where: path, kind: kind?.value, ...literalsOf(detail?.properties ?? []) };
  }
  for (const value of Object.values(node)) yield* thrownIn(path, value);
}

const literalsOf = (properties: readonly unknown[]): object =>
  Object.fromEntries(
    (properties as { key?: { name?: string }; value?: { value?: unknown } }[])
      .filter(({ key }) => key?.name === 'code' || key?.name === 'status')
      .map(({ key, value }) => [key!.name, value?.value]),
  );

const thrown = SOURCES.filter(({ text }) => text.includes('new HoldfastError(')).flatMap(({ path, text }) => [
  ...thrownIn(path, parseAst(text, { lang: 'ts' }, path)),
]);

describe('the table of error codes', () => {
  it('is the page in docs', () => {
    expect(readFileSync(join(ROOT, 'docs/api/errors.md'), 'utf8')).toBe(errorsPage());
  });

  it('names the kind and the status that each code is thrown with', () => {
    expect(thrown.length).toBeGreaterThan(150);
    const wrong = thrown.filter(({ kind, code, status }) => {
      const entry = typeof code === 'string' ? TABLE.get(code) : undefined;
      const otherKind = typeof kind === 'string' && !entry?.kinds.includes(kind);
      return entry !== undefined && (otherKind || (status ?? entry.status) !== entry.status);
    });
    expect(wrong).toEqual([]);
  });

  it('has no code that nothing throws', () => {
    const all = SOURCES.map(({ text }) => text).join('\n');
    const unused = [...TABLE.keys()].filter((code) => /^[a-z]/.test(code) && !all.includes(`'${code}'`));
    expect(unused).toEqual([]);
  });
});
