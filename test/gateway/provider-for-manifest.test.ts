import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ProviderOverrides, providerForManifest } from '../../src/gateway/credit.ts';

const MANIFEST = `b3:${'1'.repeat(64)}`;
const chosenFrom = (
  key: string,
  providers: readonly string[],
  options: Parameters<typeof providerForManifest>[2] = {},
) => providerForManifest({ manifest: MANIFEST, providers }, key, { firstAnswered: 'first', ...options });

it('depends on the key and the set of providers alone, not on order, doubles or blanks', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.stringMatching(/^[a-z0-9]{1,6}$/), { minLength: 1 }),
      fc.string(),
      (ids, key) => {
        const messy = [...ids].reverse().flatMap((id) => [` ${id}`, '', id, '  ']);
        const chosen = chosenFrom(key, ids);
        expect(chosenFrom(key, messy)).toBe(chosen);
        expect(ids).toContain(chosen);
      },
    ),
  );
});

it('is pinned: changing the rule would change who is paid', () => {
  const ids = ['p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7', 'p8', 'p9'];
  const chosen = ['', 'a', 'b', 'reservation-1', 'reservation-2'].map((key) => chosenFrom(key, ids));
  expect(chosen).toMatchInlineSnapshot(`
    [
      "p5",
      "p4",
      "p8",
      "p4",
      "p4",
    ]
  `);
});

it('spreads keys evenly', () => {
  const counts = new Map<string | undefined, number>();
  for (let i = 0; i < 3000; i++) {
    const id = chosenFrom(`key ${i}`, ['a', 'b', 'c']);
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(120);
});

it('falls back to the provider that answered first when the manifest lists none', () => {
  expect(chosenFrom('k', [])).toBe('first');
  expect(chosenFrom('k', [' ', ''])).toBe('first');
  expect(chosenFrom('k', [], { firstAnswered: undefined })).toBeUndefined();
});

it('is what an override says, the narrower first, until that is cleared', () => {
  const overrides = new ProviderOverrides();
  const named = (kind: 'manifest' | 'blob' | 'wasm') => chosenFrom('k', ['a'], { overrides, kind });
  expect(named('blob')).toBe('a');
  overrides.set(MANIFEST, 'all');
  overrides.set(MANIFEST, 'blobs', 'blob');
  overrides.set(MANIFEST, 'modules', 'wasm');
  expect([named('manifest'), named('blob'), named('wasm')]).toEqual(['all', 'blobs', 'modules']);
  overrides.clear(MANIFEST, 'blob');
  expect(named('blob')).toBe('all');
  overrides.clear(MANIFEST);
  expect([named('manifest'), named('blob'), named('wasm')]).toEqual(['a', 'a', 'modules']);
  overrides.clear();
  expect(named('wasm')).toBe('a');
});

it('takes no override that no receipt or header can name, and not without end', () => {
  const overrides = new ProviderOverrides();
  for (const id of ['', 'x'.repeat(256), 'p\r\nset-cookie: a=b', 'zwölf', 'p 1'])
    expect(() => overrides.set(MANIFEST, id)).toThrow(expect.objectContaining({ code: 'bad_option' }));
  for (let i = 0; i < 100_000; i++) overrides.set(`b3:${i}`, 'p');
  expect(() => overrides.set(MANIFEST, 'p')).toThrow(expect.objectContaining({ code: 'bad_option' }));
});
