import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { referencePage } from '../../scripts/api/reference.mjs';
import { type Declaration, ENTRIES, exportsOf, mentionedIn } from '../../scripts/api/surface.mjs';

const exported = ENTRIES.flatMap((entry) =>
  exportsOf(entry).map(({ name, declaration }) => ({ where: `${entry.name}: ${name}`, declaration })),
);
const isType = ({ nodes }: Declaration): boolean =>
  nodes.every(({ type }) => /^TS(Interface|TypeAlias)/.test(type));

describe('the public surface', () => {
  it('has every entry point of the package', () => {
    expect(ENTRIES.map(({ name }) => name).sort()).toEqual([
      'holdfast',
      'holdfast/catalog',
      'holdfast/erasure',
      'holdfast/gateway',
      'holdfast/node',
      'holdfast/providers',
      'holdfast/receipts',
      'holdfast/testing',
    ]);
    expect(exported.length).toBeGreaterThan(200);
  });

  it('exports every type that occurs in an exported one', () => {
    const known = new Set(exported.map(({ declaration }) => declaration));
    const nameless = exported.flatMap(({ where, declaration }) =>
      [...mentionedIn(declaration)]
        .filter((mentioned) => !known.has(mentioned))
        .map(({ name }) => `${where} needs ${name}`),
    );
    expect(nameless).toEqual([]);
  });

  it('exports no type that nothing in it leads to', () => {
    const reached = new Set(exported.map(({ declaration }) => declaration).filter((each) => !isType(each)));
    for (const declaration of reached)
      for (const mentioned of mentionedIn(declaration)) reached.add(mentioned);
    expect(exported.filter(({ declaration }) => !reached.has(declaration)).map(({ where }) => where)).toEqual(
      [],
    );
  });

  it('is told of in one page, as it is', async () => {
    const page = await readFile(new URL('../../docs/api/reference.md', import.meta.url), 'utf8');
    expect(page === referencePage(), 'run npm run docs:api').toBe(true);
  });
});
