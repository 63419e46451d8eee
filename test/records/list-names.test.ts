import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import type { RecordsContext } from '../../src/records/context.ts';
import { type ListObjectsOptions, listNames } from '../../src/records/name-listing.ts';
import { pointName } from '../../src/records/names.ts';
import { testVault } from '../helpers/vault.ts';

const manifest = addressOf(new Uint8Array(32));
const runs = process.env.SLOW === '1' ? 300 : 20;

const point = (context: RecordsContext, name: string): Promise<unknown> =>
  pointName(context, name, { manifest, size: 7, createdMs: 1_700_000_000_000 });
const remove = (context: RecordsContext, name: string): Promise<unknown> =>
  pointName(context, name, { manifest: undefined, size: 0, createdMs: 1_700_000_000_000 });

async function listed(context: RecordsContext, options: ListObjectsOptions = {}): Promise<string[]> {
  const found: string[] = [];
  for await (const one of listNames(context, options))
    found.push('name' in one ? one.name : `${one.prefix}*`);
  return found;
}

/** What a listing must be, by the slowest way. */
function reference(names: Iterable<string>, options: ListObjectsOptions): string[] {
  const { prefix = '', delimiter = '', after, limit } = options;
  const bytes = (text: string): Buffer => Buffer.from(text);
  const out: string[] = [];
  for (const name of [...new Set(names)].sort((a, b) => Buffer.compare(bytes(a), bytes(b)))) {
    if (!name.startsWith(prefix)) continue;
    const cut = delimiter === '' ? -1 : name.indexOf(delimiter, prefix.length);
    const group = cut < 0 ? undefined : name.slice(0, cut + delimiter.length);
    if (after !== undefined && (group === after || Buffer.compare(bytes(name), bytes(after)) <= 0)) continue;
    const entry = group === undefined ? name : `${group}*`;
    if (out.at(-1) !== entry) out.push(entry);
  }
  return out.slice(0, limit);
}

describe('a listing of names', () => {
  it('is in the order of UTF-8 bytes and says what a name stands for', async () => {
    const { context } = await testVault();
    for (const name of ['b', 'a/2', '\u{1f600}', '\uffee', 'a/1', 'é', 'gone']) await point(context, name);
    await remove(context, 'gone');
    expect(await listed(context)).toEqual(['a/1', 'a/2', 'b', 'é', '\uffee', '\u{1f600}']);
    const { value } = await listNames(context, { limit: 1 }).next();
    expect(value).toEqual({ name: 'a/1', version: 1, manifest, size: 7, createdMs: 1_700_000_000_000 });
  });

  it('goes on where it stopped, also after a group', async () => {
    const { context } = await testVault();
    for (const name of ['a', 'b/1', 'b/2', 'b/c/3', 'c', 'd/1']) await point(context, name);
    const pages: string[][] = [];
    for (let after: string | undefined; ; ) {
      const page = await listed(context, { delimiter: '/', limit: 1, after });
      if (page.length === 0) break;
      pages.push(page);
      after = page[0]!.replace('*', '');
    }
    expect(pages.flat()).toEqual(['a', 'b/*', 'c', 'd/*']);
    expect(await listed(context, { prefix: 'b/', delimiter: '/' })).toEqual(['b/1', 'b/2', 'b/c/*']);
    expect(await listed(context, { delimiter: '/', after: 'b/1' })).toEqual(['b/*', 'c', 'd/*']);
  });

  it('agrees with a sorted list on any names and questions', async () => {
    const piece = fc.constantFrom('a', 'b', '/', '//', 'é', '\uffee', '\u{1f600}', '\u{10ffff}');
    const name = fc.array(piece, { minLength: 1, maxLength: 5 }).map((pieces) => pieces.join(''));
    const question = fc.record({
      prefix: fc.option(name, { nil: undefined }),
      delimiter: fc.option(fc.constantFrom('/', '//', 'a'), { nil: undefined }),
      after: fc.option(name, { nil: undefined }),
      limit: fc.option(fc.nat(8), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ name, gone: fc.boolean() }), { maxLength: 40 }),
        fc.array(question, { minLength: 1, maxLength: 8 }),
        async (changes, questions) => {
          const { context } = await testVault({ arenaBytes: 4 * 1024 * 1024 });
          const names = new Set<string>();
          for (const { name: one, gone } of changes) {
            await (gone ? remove(context, one) : point(context, one));
            if (gone) names.delete(one);
            else names.add(one);
          }
          for (const asked of questions)
            expect(await listed(context, asked)).toEqual(reference(names, asked));
        },
      ),
      { numRuns: runs },
    );
  });
});
